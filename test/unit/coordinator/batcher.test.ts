import { describe, expect, it } from "vitest";
import { createBatcher } from "../../../services/coordinator/dispatch/batcher.ts";
import { FarmError } from "../../../services/domain/errors.ts";

type Ask = { readonly session: string; readonly value: number };

/** A statement that runs only when the test lets it. */
function gatedRun() {
  const calls: { readonly asks: readonly Ask[]; finish(): void; fail(error: FarmError): void }[] = [];
  const run = (asks: readonly Ask[]): Promise<readonly number[]> => {
    const settled = Promise.withResolvers<readonly number[]>();
    calls.push({ asks, finish: () => settled.resolve(asks.map(({ value }) => value * 10)), fail: (error) => settled.reject(error) });
    return settled.promise;
  };
  return { calls, run };
}

function batcherOf(run: (asks: readonly Ask[]) => Promise<readonly number[]>, maxAsks = 10, maxWaiting = 100) {
  return createBatcher<Ask, number>({ run, keyOf: ({ session }) => session, maxAsks, maxWaiting });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a batcher", () => {
  it("sends asks that arrive during a statement together in the next one", async () => {
    const { calls, run } = gatedRun();
    const batcher = batcherOf(run);
    const first = batcher.ask({ session: "a", value: 1 });
    const rest = [batcher.ask({ session: "b", value: 2 }), batcher.ask({ session: "c", value: 3 })];
    expect(calls.map(({ asks }) => asks.length)).toEqual([1]);
    calls[0]?.finish();
    expect(await first).toBe(10);
    await turn();
    expect(calls.map(({ asks }) => asks.length)).toEqual([1, 2]);
    calls[1]?.finish();
    expect(await Promise.all(rest)).toEqual([20, 30]);
  });

  it("refuses an ask that finds too many before it, and takes one again when those have gone", async () => {
    const { calls, run } = gatedRun();
    const batcher = batcherOf(run, 10, 1);
    const taken = [batcher.ask({ session: "a", value: 1 }), batcher.ask({ session: "b", value: 2 })];
    await expect(batcher.ask({ session: "c", value: 3 })).rejects.toMatchObject({ code: "FARM_BUSY" });
    calls[0]?.finish();
    await turn();
    const later = batcher.ask({ session: "c", value: 3 });
    calls[1]?.finish();
    await turn();
    calls[2]?.finish();
    expect(await Promise.all([...taken, later])).toEqual([10, 20, 30]);
  });

  it("never puts two asks of one session into one statement, and keeps their order", async () => {
    const { calls, run } = gatedRun();
    const batcher = batcherOf(run);
    const answers = [1, 2, 3].map((value) => batcher.ask({ session: "a", value }));
    for (let index = 0; index < 3; index += 1) {
      expect(calls[index]?.asks.map(({ value }) => value)).toEqual([index + 1]);
      calls[index]?.finish();
      await turn();
    }
    expect(await Promise.all(answers)).toEqual([10, 20, 30]);
  });

  it("bounds the asks of one statement", async () => {
    const { calls, run } = gatedRun();
    const batcher = batcherOf(run, 2);
    const answers = ["a", "b", "c", "d"].map((session, value) => batcher.ask({ session, value }));
    for (let index = 0; index < 3; index += 1) {
      calls[index]?.finish();
      await turn();
    }
    expect(calls.map(({ asks }) => asks.length)).toEqual([1, 2, 1]);
    expect(await Promise.all(answers)).toEqual([0, 10, 20, 30]);
  });

  it("fails every ask of a batch when the database does not answer, without trying each", async () => {
    const { calls, run } = gatedRun();
    const batcher = batcherOf(run);
    const first = batcher.ask({ session: "z", value: 0 });
    const rest = Promise.allSettled(["a", "b"].map((session, value) => batcher.ask({ session, value })));
    calls[0]?.finish();
    await first;
    await turn();
    calls[1]?.fail(new FarmError("DATABASE_UNAVAILABLE"));
    expect((await rest).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(calls).toHaveLength(2);
  });

  it("tries each ask alone when one of them spoils the batch", async () => {
    const spoiled = new FarmError("INTERNAL");
    const run = (asks: readonly Ask[]): Promise<readonly number[]> =>
      asks.some(({ value }) => value < 0) ? Promise.reject(spoiled) : Promise.resolve(asks.map(({ value }) => value));
    const batcher = batcherOf(run);
    const settled = await Promise.allSettled([1, -1, 2].map((value) => batcher.ask({ session: String(value), value })));
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });
});
