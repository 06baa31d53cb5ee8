/**
 * The beat: every few seconds, one message that renews the session's lease and names every attempt it holds.
 *
 * A beat that goes unanswered is not sent again; the next one says more. What an attempt has to say beside how it goes (outputs that are
 * announced, a checkpoint that is told) leaves with a beat of its own, at once, and is said again until one is answered: bytes are put only
 * after their announcement's answer, so that collection leaves them alone.
 */
import {
  type AttemptBeat,
  BeatRequest,
  type BeatAnswer,
  type KeptCheckpoint,
  type ProducedArtifact,
  type Refusal,
  type RuntimeCounters,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { Logger } from "../../platform/logging.ts";
import type { AttemptBook } from "./attempt-book.ts";
import type { Clock } from "./clock.ts";
import type { Link } from "./exchange.ts";
import { createLatch } from "./latch.ts";
import { beatEveryMs } from "./lease-clock.ts";
import type { Session } from "./session.ts";
import { readBeat } from "./wire.ts";

export type BeatPorts = {
  readonly clock: Clock;
  readonly link: Link;
  readonly logger: Logger;
  readonly book: AttemptBook;
  readonly subject: string;
  readonly pool: string;
  /** Longest time between two beats. */
  readonly beatMs: number;
  /** Wait after an unanswered beat while an attempt has something to say. */
  readonly retryMs: number;
  readonly session: () => Session;
  readonly counters: () => RuntimeCounters;
  readonly onAnswer: (answer: BeatAnswer) => void;
  readonly onRefusal: (refusal: Refusal, session: Session) => void;
  /** Called after each beat, answered or not. */
  readonly afterBeat: () => void;
};

/** What a beat says of an attempt beside how it goes; one thing at a time. */
type Said = { readonly artifacts?: readonly ProducedArtifact[]; readonly checkpoint?: KeptCheckpoint };
type Errand = { readonly said: Said; readonly done: () => void };

export type Beats = {
  /** Beats until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Beats at once: an attempt has begun that was only reserved. */
  soon(): void;
  /** Resolves once a beat that named the artifacts was answered. */
  announce(attemptId: string, artifacts: readonly ProducedArtifact[], signal: AbortSignal): Promise<void>;
  /** Resolves once a beat that named the checkpoint was answered. */
  tell(attemptId: string, checkpoint: KeptCheckpoint, signal: AbortSignal): Promise<void>;
};

/** Beats of one agent, over all its sessions. */
export function createBeats(ports: BeatPorts): Beats {
  const errands = new Map<string, Errand>();
  const latch = createLatch(ports.clock);
  const say = (attemptId: string, said: Said, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      // A beat that was on its way may answer an errand that was given up and followed by another.
      const forget = (): void => {
        if (errands.get(attemptId) === errand) errands.delete(attemptId);
        signal.removeEventListener("abort", abort);
      };
      const abort = (): void => {
        forget();
        reject(new FarmError("STAGE_CANCELLED"));
      };
      const done = (): void => {
        forget();
        resolve();
      };
      if (signal.aborted) {
        reject(new FarmError("STAGE_CANCELLED"));
        return;
      }
      const errand: Errand = { said, done };
      errands.set(attemptId, errand);
      signal.addEventListener("abort", abort, { once: true });
      latch.fire();
    });
  return {
    async run(signal) {
      for (;;) {
        await latch.wait(errands.size > 0 ? ports.retryMs : beatEveryMs(ports.session().lease, ports.beatMs), signal);
        if (signal.aborted) return;
        await beatOnce(ports, errands);
        ports.afterBeat();
      }
    },
    soon: () => latch.fire(),
    announce: (attemptId, artifacts, signal) => say(attemptId, { artifacts }, signal),
    tell: (attemptId, checkpoint, signal) => say(attemptId, { checkpoint }, signal),
  };
}

async function beatOnce(ports: BeatPorts, errands: ReadonlyMap<string, Errand>): Promise<void> {
  const session = ports.session();
  if (!session.opened) return;
  const sentAtMs = ports.clock.nowMs();
  const attempts = ports.book.beatsOf(session.id).map((beat) => withSaid(beat, errands.get(beat.attemptId)?.said));
  const run = attempts.map(({ attemptId }) => errands.get(attemptId)).filter((errand) => errand !== undefined);
  const request = {
    header: session.beatHeader(),
    pool: ports.pool,
    attempts,
    counters: ports.counters(),
    canary: false,
    canaryElapsedMs: 0n,
  };
  const reply = await ask(ports, BeatRequest.encode(request).finish());
  // What an older session hears says nothing of this one.
  if (reply === undefined || session !== ports.session()) return;
  if (reply.kind === "refusal") {
    ports.onRefusal(reply.refusal, session);
    return;
  }
  session.renew(reply.answer, sentAtMs);
  ports.book.onBeatAnswered(attempts);
  ports.onAnswer(reply.answer);
  for (const errand of run) errand.done();
}

function withSaid(beat: AttemptBeat, said: Said = {}): AttemptBeat {
  return { ...beat, announcedArtifacts: [...(said.artifacts ?? [])], checkpoint: said.checkpoint };
}

async function ask(ports: BeatPorts, payload: Uint8Array): Promise<ReturnType<typeof readBeat>> {
  if (!ports.link.isConnected()) return undefined;
  try {
    return readBeat(await ports.link.request(ports.subject, payload, ports.beatMs));
  } catch (thrown) {
    const error = toFarmError(thrown);
    ports.logger.debug({ code: error.code }, `a beat was not answered: ${error.message}`);
    return undefined;
  }
}
