/**
 * A bound on how much of one kind of work runs at a time; the rest waits in order of arrival, or is refused.
 */
import { type ErrorCode, FarmError } from "../domain/errors.ts";

/** A bounded number of places for one kind of work. */
export type Slots = {
  /** Runs the work when a slot is free; a caller that goes while it waits gives up its place. */
  use<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T>;
  /** Runs the work when a slot is free now, else throws this code. */
  useNow<T>(refusal: ErrorCode, work: () => Promise<T>): Promise<T>;
  /** Takes a slot that is free now, else throws this code; the answer gives it back, once. */
  holdNow(refusal: ErrorCode): () => void;
};

const retryAfterMs = 1_000;

/** `count` free slots. */
export function createSlots(count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];
  const release = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  const take = (signal: AbortSignal | undefined): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    return waitForTurn(waiting, signal);
  };
  const takeNow = (refusal: ErrorCode): void => {
    if (free === 0) throw new FarmError(refusal, { details: { retryAfterMs } });
    free -= 1;
  };
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } finally {
      release();
    }
  };
  return {
    async use(signal, work) {
      await take(signal);
      return await run(work);
    },
    async useNow(refusal, work) {
      takeNow(refusal);
      return await run(work);
    },
    holdNow(refusal) {
      takeNow(refusal);
      let isHeld = true;
      return () => {
        if (isHeld) release();
        isHeld = false;
      };
    },
  };
}

function waitForTurn(waiting: (() => void)[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      waiting.splice(waiting.indexOf(turn), 1);
      reject(new FarmError("STAGE_CANCELLED", { message: "the caller went while waiting" }));
    };
    const turn = (): void => {
      signal?.removeEventListener("abort", leave);
      resolve();
    };
    if (signal?.aborted === true) {
      reject(new FarmError("STAGE_CANCELLED", { message: "the caller went while waiting" }));
      return;
    }
    signal?.addEventListener("abort", leave, { once: true });
    waiting.push(turn);
  });
}
