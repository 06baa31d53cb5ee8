/**
 * The beat: every few seconds, one message that renews the session's lease and names every attempt it holds.
 *
 * A beat that goes unanswered is not sent again; the next one says more. An attempt's outputs are announced by a beat of their own, at
 * once: their bytes are put only after that beat's answer, so that collection leaves them alone.
 */
import {
  BeatRequest,
  type BeatAnswer,
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
import type { Session } from "./session.ts";
import { readBeat } from "./wire.ts";

export type BeatPorts = {
  readonly clock: Clock;
  readonly link: Link;
  readonly logger: Logger;
  readonly book: AttemptBook;
  readonly subject: string;
  readonly pool: string;
  readonly beatMs: number;
  /** Wait after an unanswered beat while artifacts wait to be announced. */
  readonly retryMs: number;
  readonly session: () => Session;
  readonly counters: () => RuntimeCounters;
  readonly onAnswer: (answer: BeatAnswer) => void;
  readonly onRefusal: (refusal: Refusal, session: Session) => void;
  /** Called after each beat, answered or not. */
  readonly afterBeat: () => void;
};

type Announcement = { readonly artifacts: readonly ProducedArtifact[]; readonly done: () => void };

export type Beats = {
  /** Beats until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once a beat that named the artifacts was answered. */
  announce(attemptId: string, artifacts: readonly ProducedArtifact[], signal: AbortSignal): Promise<void>;
};

/** Beats of one agent, over all its sessions. */
export function createBeats(ports: BeatPorts): Beats {
  const announcements = new Map<string, Announcement>();
  const latch = createLatch(ports.clock);
  return {
    async run(signal) {
      for (;;) {
        await latch.wait(announcements.size > 0 ? ports.retryMs : ports.beatMs, signal);
        if (signal.aborted) return;
        await beatOnce(ports, announcements);
        ports.afterBeat();
      }
    },
    announce(attemptId, artifacts, signal) {
      return new Promise((resolve, reject) => {
        const forget = (): void => {
          announcements.delete(attemptId);
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
        announcements.set(attemptId, { artifacts, done });
        signal.addEventListener("abort", abort, { once: true });
        latch.fire();
      });
    },
  };
}

async function beatOnce(ports: BeatPorts, announcements: ReadonlyMap<string, Announcement>): Promise<void> {
  const session = ports.session();
  if (!session.opened) return;
  const sentAtMs = ports.clock.nowMs();
  const attempts = ports.book
    .beatsOf(session.id)
    .map((beat) => ({ ...beat, announcedArtifacts: [...(announcements.get(beat.attemptId)?.artifacts ?? [])] }));
  const announced = attempts.map(({ attemptId }) => announcements.get(attemptId)).filter((announcement) => announcement !== undefined);
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
  ports.onAnswer(reply.answer);
  for (const announcement of announced) announcement.done();
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
