/**
 * Time as a port: leases, beats and hang limits are judged by a monotonic clock that tests can move.
 */

export type Clock = {
  /** Monotonic; only differences mean anything. */
  nowMs(): number;
  /** Calls back once; the returned function takes it back. */
  after(ms: number, callback: () => void): () => void;
};

/** The machine's monotonic clock. */
export function systemClock(): Clock {
  return {
    nowMs: () => performance.now(),
    after(ms, callback) {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };
}

/** Waits `ms`, or less when the signal aborts; never rejects. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      cancel();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal.addEventListener("abort", finish, { once: true });
  });
}

/** Whether the promise settled within `ms`; its rejection counts as settled. */
export async function settledWithin(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  const late = new AbortController();
  const settled = promise.then(
    () => true,
    () => true,
  );
  const timeout = sleep(clock, ms, late.signal).then(() => false);
  try {
    return await Promise.race([settled, timeout]);
  } finally {
    late.abort();
  }
}
