/**
 * Waits while a farm takes no more: it says for how long, and it has stored nothing, so the same call is made again.
 *
 * Bounded: a farm that is still full after `patienceMs` is the caller's to know of. Everything else is the caller's at once.
 */
import { type ErrorCode, toFarmError } from "../domain/errors.ts";
import { pause } from "../platform/deadline.ts";
import { isAborted, type PatienceOptions } from "./patience.ts";

const refusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["FARM_FULL", "FARM_BUSY"]);
const defaultPatienceMs = 120_000;
const defaultWaitMs = 1_000;
const longestWaitMs = 60_000;

/** Makes the call until the farm takes it; the last refusal is thrown when it has not for too long. */
export async function untilTaken<T>(options: PatienceOptions, call: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await call();
    } catch (thrown) {
      const error = toFarmError(thrown);
      const asked = error.details["retryAfterMs"];
      const waitMs = Math.min(typeof asked === "number" ? asked : defaultWaitMs, longestWaitMs);
      const isOver = performance.now() - begun + waitMs > (options.patienceMs ?? defaultPatienceMs);
      if (!refusals.has(error.code) || isOver || isAborted(options.signal)) throw error;
      if (isFirst) options.onOutage?.(error);
      await pause(waitMs, options.signal);
      if (isAborted(options.signal)) throw error;
    }
  }
}
