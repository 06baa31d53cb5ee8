/**
 * A piece of work with an end: it is aborted when its limit passes or its attempt stops.
 */
import { FarmError } from "../../domain/errors.ts";
import type { Clock } from "./clock.ts";

export type TimeLimit = { readonly clock: Clock; readonly ms: number; readonly signal: AbortSignal; readonly what: string };

/** The work's outcome; DEADLINE_PASSED when the limit passed first, even if the work does not listen to its signal. */
export async function withinLimit<T>(limit: TimeLimit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const late = Promise.withResolvers<never>();
  const end = (error: FarmError): void => {
    ended.abort(error);
    late.reject(error);
  };
  const cancel = limit.clock.after(limit.ms, () =>
    end(new FarmError("DEADLINE_PASSED", { message: `${limit.what} took longer than ${limit.ms} ms` })),
  );
  const stop = (): void => end(new FarmError("STAGE_CANCELLED"));
  limit.signal.addEventListener("abort", stop, { once: true });
  try {
    if (limit.signal.aborted) throw new FarmError("STAGE_CANCELLED");
    return await Promise.race([work(ended.signal), late.promise]);
  } finally {
    cancel();
    limit.signal.removeEventListener("abort", stop);
  }
}
