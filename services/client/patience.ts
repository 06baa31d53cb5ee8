/**
 * Waits out a farm that does not answer: back-off from 0.2 s to 5 s, until `patienceMs` have gone without an answer.
 *
 * Only outages are waited out: connections that break, a coordinator that restarts, a database that is away. Everything else is the
 * caller's at once, and nothing is waited out once the caller's signal has aborted.
 */
import { type ErrorCode, type FarmError, toFarmError } from "../domain/errors.ts";
import { pause } from "../platform/deadline.ts";

export type PatienceOptions = {
  readonly signal?: AbortSignal | undefined;
  /** Else two minutes. */
  readonly patienceMs?: number | undefined;
  /** Told once per outage. */
  readonly onOutage?: ((error: FarmError) => void) | undefined;
};

export type Patience = {
  /** The farm answered: an outage, if there was one, is over. */
  answered(): void;
  /** Returns after a while when it is worth trying again; throws what was caught when it is not. */
  failed(thrown: unknown): Promise<void>;
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

/** Patience for one operation of several calls. */
export function createPatience(options: PatienceOptions): Patience {
  const patienceMs = options.patienceMs ?? defaultPatienceMs;
  let outage: { readonly since: number; readonly waitMs: number } | undefined;
  return {
    answered() {
      outage = undefined;
    },
    async failed(thrown) {
      const error = toFarmError(thrown);
      if (isAborted(options.signal)) throw error;
      // A stream's own deadline is no outage: what takes long is done in pieces.
      if (error.code === "DEADLINE_PASSED") return;
      if (!isOutage(error)) throw error;
      if (outage === undefined) options.onOutage?.(error);
      outage ??= { since: performance.now(), waitMs: firstWaitMs };
      if (performance.now() - outage.since > patienceMs) throw error;
      await pause(outage.waitMs, options.signal);
      if (isAborted(options.signal)) throw error;
      outage = { since: outage.since, waitMs: Math.min(longestWaitMs, outage.waitMs * 2) };
    },
  };
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
