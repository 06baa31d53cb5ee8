/**
 * Waits out a farm that does not answer: back-off from 0.2 s to 5 s, until `patienceMs` have gone without an answer.
 *
 * Only outages are waited out: connections that break, a coordinator that restarts, a database that is away. Everything else is the
 * caller's at once, and nothing is waited out once the caller's signal has aborted. A deadline that passed is an outage too, unless the
 * farm had answered on the stream that it cut, or the stream is one that may be silent for long: what takes long is done in pieces.
 */
import { type ErrorCode, type FarmError, toFarmError } from "../domain/errors.ts";
import { pause } from "../platform/deadline.ts";

/** How long an operation bears a farm that does not answer. */
export type PatienceOptions = {
  readonly signal?: AbortSignal | undefined;
  /** Else two minutes. */
  readonly patienceMs?: number | undefined;
  /** Told once per outage. */
  readonly onOutage?: ((error: FarmError) => void) | undefined;
};

/** The failures of one operation, in their order. */
export type Patience = {
  /** The farm answered: an outage, if there was one, is over. */
  answered(): void;
  /**
   * Returns after a while when it is worth trying again; throws what was caught when it is not. `silentMs`: how long a stream that may be
   * silent was open.
   */
  failed(thrown: unknown, silentMs?: number): Promise<void>;
};

const firstWaitMs = 200;
const longestWaitMs = 5_000;
const defaultPatienceMs = 120_000;

// A stream that the farm cut off while it stopped reads as cancelled; a caller that cancels has aborted its signal.
const outages: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "COORDINATOR_UNAVAILABLE",
  "DATABASE_UNAVAILABLE",
  "BROKER_UNAVAILABLE",
  "ARTIFACT_STORE_UNAVAILABLE",
  "STAGE_CANCELLED",
]);

/** Looked at anew each time: it changes while something is awaited. */
export function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Whether the same call may be answered in a while. */
export function isOutage(error: FarmError): boolean {
  return outages.has(error.code) || error.code === "DEADLINE_PASSED";
}

/** Patience for one operation of several calls; `alsoAgain`: what else is worth another try in it. */
export function createPatience(options: PatienceOptions, alsoAgain: readonly ErrorCode[] = []): Patience {
  const patienceMs = options.patienceMs ?? defaultPatienceMs;
  let outage: { readonly since: number; readonly waitMs: number } | undefined;
  let hasAnswered = false;
  return {
    answered() {
      outage = undefined;
      hasAnswered = true;
    },
    async failed(thrown, silentMs = 0) {
      const error = toFarmError(thrown);
      if (isAborted(options.signal)) throw error;
      const isInPieces = hasAnswered || silentMs >= longestWaitMs;
      hasAnswered = false;
      if (error.code === "DEADLINE_PASSED" && isInPieces) return;
      if (!isOutage(error) && !alsoAgain.includes(error.code)) throw error;
      if (outage === undefined) options.onOutage?.(error);
      outage ??= { since: performance.now(), waitMs: firstWaitMs };
      if (performance.now() - outage.since > patienceMs) throw error;
      await pause(Math.max(outage.waitMs, askedMs(error, alsoAgain)), options.signal);
      if (isAborted(options.signal)) throw error;
      outage = { since: outage.since, waitMs: Math.min(longestWaitMs, outage.waitMs * 2) };
    },
  };
}

/** How long a farm that is busy asks to be left alone; an outage says nothing of how long it lasts. */
function askedMs({ code, details }: FarmError, alsoAgain: readonly ErrorCode[]): number {
  const asked = details["retryAfterMs"];
  return alsoAgain.includes(code) && typeof asked === "number" ? asked : 0;
}

/** Repeats a call through an outage. Only for calls that may be repeated. */
export async function patiently<T>(patience: Patience, call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      const answer = await call();
      patience.answered();
      return answer;
    } catch (thrown) {
      await patience.failed(thrown);
    }
  }
}
