/**
 * Asks that arrive while one statement is running wait and go together in the next (design §5).
 *
 * Invariants: one batch at a time; asks of one key (a session) never share a batch, so a doubled request meets the answer that its
 * twin stored; a failed batch fails each of its asks, unless one of them may be to blame: then each is tried alone.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";

export type BatcherOptions<A, O> = {
  /** One outcome for each ask, in order. */
  readonly run: (asks: readonly A[]) => Promise<readonly O[]>;
  readonly keyOf: (ask: A) => string;
  readonly maxAsks: number;
  /** Asks that wait for a batch; one more is refused with FARM_BUSY. */
  readonly maxWaiting: number;
};

export type Batcher<A, O> = {
  ask(ask: A): Promise<O>;
};

type Waiting<A, O> = { readonly ask: A; readonly settle: PromiseWithResolvers<O> };

/** A batcher with nothing waiting. */
export function createBatcher<A, O>(options: BatcherOptions<A, O>): Batcher<A, O> {
  let waiting: Waiting<A, O>[] = [];
  let isRunning = false;
  const runAll = async (): Promise<void> => {
    isRunning = true;
    while (waiting.length > 0) {
      const { batch, rest } = takeBatch(waiting, options);
      waiting = rest;
      await runBatch(batch, options.run);
    }
    isRunning = false;
  };
  return {
    ask(ask) {
      if (waiting.length >= options.maxWaiting) return Promise.reject(new FarmError("FARM_BUSY"));
      const settle = Promise.withResolvers<O>();
      waiting.push({ ask, settle });
      if (!isRunning) void runAll();
      return settle.promise;
    },
  };
}

function takeBatch<A, O>(waiting: readonly Waiting<A, O>[], { keyOf, maxAsks }: BatcherOptions<A, O>) {
  const keys = new Set<string>();
  const batch: Waiting<A, O>[] = [];
  const rest: Waiting<A, O>[] = [];
  for (const item of waiting) {
    const key = keyOf(item.ask);
    if (batch.length < maxAsks && !keys.has(key)) batch.push(item);
    else rest.push(item);
    keys.add(key);
  }
  return { batch, rest };
}

async function runBatch<A, O>(batch: readonly Waiting<A, O>[], run: BatcherOptions<A, O>["run"]): Promise<void> {
  try {
    const outcomes = await run(batch.map(({ ask }) => ask));
    batch.forEach(({ settle }, index) => settle.resolve(outcomes[index] as O));
  } catch (thrown) {
    const isShared = batch.length === 1 || toFarmError(thrown).code === "DATABASE_UNAVAILABLE";
    if (isShared) for (const { settle } of batch) settle.reject(thrown);
    else for (const item of batch) await runBatch([item], run);
  }
}
