/**
 * Who watches which job on this coordinator, and what tells them to look again.
 *
 * Hints and progress may be lost: a watcher reads events from Postgres and polls slowly besides. A hint goes to watchers of this
 * coordinator at once and to all others over NATS. Progress is conflated per task, so a slow client costs a bounded memory.
 */
import { ProgressMessage } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Component } from "../../platform/lifecycle.ts";
import type { Broker } from "../../platform/nats/broker.ts";
import type { Subjects } from "../../platform/nats/subjects.ts";

/** Why a wait ended. */
export type WakeReason = "touched" | "progress" | "poll" | "gone" | "stopping";

/** One watch of one job; to be closed. */
export type Follower = {
  /** Waits for a reason to look again; `pollMs` bounds the wait. */
  wait(pollMs: number, signal: AbortSignal): Promise<WakeReason>;
  /** Waits `ms` whatever is told meanwhile, hints and progress stay for later; earlier only when there is nobody to wait for. */
  rest(ms: number, signal: AbortSignal): Promise<"rested" | "gone" | "stopping">;
  /** The newest progress of each task since the last call. */
  takeProgress(): readonly ProgressMessage[];
  close(): void;
};

/** The watches of this coordinator. */
export type WatchHub = Component & {
  /** These jobs have new events: their watchers on every coordinator look again. */
  touch(jobIds: Iterable<string>): void;
  /** Hints and progress of a job from now on. */
  follow(jobId: string): Promise<Follower>;
};

/** What hints and progress travel over. */
export type WatchHubOptions = {
  readonly broker: Pick<Broker, "subscribe" | "publish" | "flush">;
  readonly subjects: Pick<Subjects, "hint" | "progress">;
};

type Entry = { readonly touch: () => void; readonly stop: () => void };

const nothing = new Uint8Array();
const subscribeDeadlineMs = 1_000;

/** A hub without watchers. */
export function createWatchHub({ broker, subjects }: WatchHubOptions): WatchHub {
  const followers = new Map<string, Set<Entry>>();
  return {
    start: () => Promise.resolve(),
    stop() {
      for (const entries of followers.values()) for (const entry of entries) entry.stop();
      return Promise.resolve();
    },
    touch(jobIds) {
      for (const jobId of jobIds) {
        for (const entry of followers.get(jobId) ?? []) entry.touch();
        broker.publish(subjects.hint(jobId), nothing);
      }
    },
    async follow(jobId) {
      const mailbox = createMailbox();
      const ends = [
        broker.subscribe(subjects.hint(jobId), mailbox.touch),
        broker.subscribe(subjects.progress(jobId), mailbox.progress),
        register(followers, jobId, mailbox),
      ];
      // What is committed from here on is hinted at; without NATS the poll makes it good.
      await broker.flush(subscribeDeadlineMs).catch(() => undefined);
      return { wait: mailbox.wait, rest: mailbox.rest, takeProgress: mailbox.takeProgress, close: () => ends.forEach((end) => end()) };
    },
  };
}

function register(followers: Map<string, Set<Entry>>, jobId: string, entry: Entry): () => void {
  const entries = followers.get(jobId) ?? new Set();
  followers.set(jobId, entries.add(entry));
  return () => {
    entries.delete(entry);
    if (entries.size === 0 && followers.get(jobId) === entries) followers.delete(jobId);
  };
}

function createMailbox() {
  const newest = new Map<bigint, ProgressMessage>();
  let isTouched = false;
  let isStopping = false;
  let wake: (() => void) | undefined;
  let wakeRest: (() => void) | undefined;
  const reason = (): WakeReason | undefined => {
    if (isStopping) return "stopping";
    if (isTouched) return "touched";
    return newest.size > 0 ? "progress" : undefined;
  };
  return {
    touch: (): void => {
      isTouched = true;
      wake?.();
    },
    stop: (): void => {
      isStopping = true;
      wake?.();
      wakeRest?.();
    },
    progress: (payload: Uint8Array): void => {
      const message = decodeProgress(payload);
      if (message === undefined) return;
      newest.set(message.taskId, message);
      wake?.();
    },
    takeProgress: (): readonly ProgressMessage[] => {
      const taken = [...newest.values()];
      newest.clear();
      return taken;
    },
    wait: async (pollMs: number, signal: AbortSignal): Promise<WakeReason> => {
      if (reason() === undefined) await new Promise<void>((resolve) => (wake = wakeable(resolve, pollMs, signal)));
      wake = undefined;
      const woken = signal.aborted ? "gone" : (reason() ?? "poll");
      isTouched = false;
      return woken;
    },
    rest: async (ms: number, signal: AbortSignal): Promise<"rested" | "gone" | "stopping"> => {
      if (!isStopping) await new Promise<void>((resolve) => (wakeRest = wakeable(resolve, ms, signal)));
      wakeRest = undefined;
      if (signal.aborted) return "gone";
      return isStopping ? "stopping" : "rested";
    },
  };
}

function wakeable(resolve: () => void, pollMs: number, signal: AbortSignal): () => void {
  const finish = (): void => {
    clearTimeout(timer);
    signal.removeEventListener("abort", finish);
    resolve();
  };
  const timer = setTimeout(finish, pollMs);
  if (signal.aborted) finish();
  else signal.addEventListener("abort", finish, { once: true });
  return finish;
}

/** Progress is published by workers: what cannot be read is dropped. */
function decodeProgress(payload: Uint8Array): ProgressMessage | undefined {
  try {
    return ProgressMessage.decode(payload);
  } catch {
    return undefined;
  }
}
