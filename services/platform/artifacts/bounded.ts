/**
 * One call to a store: it ends within its time, or when its caller goes, whatever the library underneath does.
 */
import { FarmError } from "../../domain/errors.ts";

export type Bound = {
  readonly ms: number;
  /** For people: what took too long. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
};

/** The outcome; ARTIFACT_STORE_UNAVAILABLE after `ms`, STAGE_CANCELLED when the caller goes. The work is told by its signal in both cases. */
export async function bounded<T>({ ms, what, signal }: Bound, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  if (signal?.aborted === true) throw cancelled();
  const ending = new AbortController();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = (error: FarmError): void => {
    reject(error);
    ending.abort();
  };
  const leave = (): void => end(cancelled());
  const late = (): void => end(new FarmError("ARTIFACT_STORE_UNAVAILABLE", { message: `${what} took longer than ${ms} ms` }));
  const timer = setTimeout(late, ms);
  signal?.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([ended, work(ending.signal)]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
  }
}

/** Why a transfer ended whose caller has gone. */
export function cancelled(): FarmError {
  return new FarmError("STAGE_CANCELLED", { message: "the transfer was cancelled" });
}
