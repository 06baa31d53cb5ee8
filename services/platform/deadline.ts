/**
 * Deadlines for awaits that could hang, and waits that end early when asked to.
 */
import { type ErrorCode, FarmError } from "../domain/errors.ts";

export type Deadline = { readonly ms: number; readonly code?: ErrorCode; readonly what: string };

/** The promise's outcome, or a FarmError (DEADLINE_PASSED unless told otherwise) after `ms`. */
export async function withDeadline<T>(promise: Promise<T>, deadline: Deadline): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new FarmError(deadline.code ?? "DEADLINE_PASSED", { message: `${deadline.what} took longer than ${deadline.ms} ms` }));
    }, deadline.ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits `ms`, or less when the signal aborts; never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", finish, { once: true });
  });
}
