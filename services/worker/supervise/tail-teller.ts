/**
 * Says the last log lines of the attempts that run, while they run: what a worker that is lost with its folder has left is what it said before
 * (docs/decisions/0026).
 *
 * Soon after the first new line and then at most every few seconds, and only when there are new ones; each message holds the whole tail, so that one
 * that is lost costs nothing once the next is there. Nobody answers.
 */
import { LostAttempt } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Component } from "../../platform/lifecycle.ts";
import type { Clock } from "../session/clock.ts";
import type { LostRun } from "./runtime-log.ts";

export type TailTellerOptions = {
  readonly clock: Clock;
  /** Tails that have grown since they were last taken. */
  readonly grown: () => readonly LostRun[];
  readonly publish: (subject: string, payload: Uint8Array) => void;
  readonly subjectOf: (attemptId: string) => string;
  /** Lines come in bursts. */
  readonly soonMs?: number;
  readonly intervalMs?: number;
};

export type TailTeller = Component & {
  /** The runtime wrote something. */
  readonly onWritten: () => void;
};

const defaultSoonMs = 100;
const defaultIntervalMs = 2_000;

/** Says nothing before `start` and after `stop`. */
export function createTailTeller(options: TailTellerOptions): TailTeller {
  const { clock, grown, publish, subjectOf, soonMs = defaultSoonMs, intervalMs = defaultIntervalMs } = options;
  let isRunning = false;
  let nextAtMs = -Infinity;
  let cancel: (() => void) | undefined;
  const tell = (): void => {
    cancel = undefined;
    const all = grown();
    if (all.length > 0) nextAtMs = clock.nowMs() + intervalMs;
    for (const lost of all) publish(subjectOf(lost.attemptId), LostAttempt.encode(lost).finish());
  };
  return {
    onWritten() {
      if (isRunning) cancel ??= clock.after(Math.max(soonMs, nextAtMs - clock.nowMs()), tell);
    },
    start() {
      isRunning = true;
      return Promise.resolve();
    },
    stop() {
      isRunning = false;
      cancel?.();
      cancel = undefined;
      return Promise.resolve();
    },
  };
}
