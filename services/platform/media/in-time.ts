/**
 * The time that decoding one file may take, all passes together.
 */
import { FarmError } from "../../domain/errors.ts";
import type { MediaLimits } from "./limits.ts";

/** Runs work that ends with its signal: STAGE_CANCELLED when the caller's was aborted, MEDIA_TIMEOUT when the time was over. */
export async function inTime<T>(limits: MediaLimits, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = AbortSignal.timeout(limits.decodeMs);
  try {
    return await work(AbortSignal.any([signal, timeout]));
  } catch (thrown) {
    if (signal.aborted) throw new FarmError("STAGE_CANCELLED", { cause: thrown });
    if (timeout.aborted)
      throw new FarmError("MEDIA_TIMEOUT", { message: `decoding took longer than ${limits.decodeMs} ms`, cause: thrown });
    throw thrown;
  }
}
