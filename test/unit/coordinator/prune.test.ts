import { describe, expect, it } from "vitest";
import { createPrune } from "../../../services/coordinator/duties/prune.ts";
import { createLogger } from "../../../services/platform/logging.ts";

const logger = createLogger({ name: "test", level: "silent" });

/** Batches that are there to delete; each takes 100 ms. */
function pruneOf(batches: number[]) {
  let nowMs = 0;
  const epochs: number[] = [];
  const store = {
    prune: (epoch: number) => {
      epochs.push(epoch);
      nowMs += 100;
      return Promise.resolve(batches.shift() ?? 0);
    },
  };
  return { epochs, duty: createPrune({ store, intervalMs: 1, budgetMs: 1_000, clock: () => nowMs, logger }) };
}

describe("a pruning round", () => {
  it("goes on until nothing is left", async () => {
    const { duty, epochs } = pruneOf([1_000, 1_000, 3]);
    await duty.run(7, new AbortController().signal);
    expect(epochs).toEqual([7, 7, 7, 7]);
  });

  it("stops when its time is up or it is told to", async () => {
    const { duty, epochs } = pruneOf(Array.from({ length: 99 }, () => 1_000));
    await duty.run(7, new AbortController().signal);
    expect(epochs).toHaveLength(10);
    await duty.run(7, AbortSignal.abort());
    expect(epochs).toHaveLength(10);
  });
});
