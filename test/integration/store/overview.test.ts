import { expect, test } from "vitest";
import type { UsageAsk } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, submit, task, type Worker } from "../../support/store-world.ts";

const world = useWorld();
const hourMs = 3_600_000;

const ask = (overrides: Partial<UsageAsk> = {}): UsageAsk => ({
  scope: undefined,
  from: new Date(Date.now() - 24 * hourMs),
  until: new Date(Date.now() + 24 * hourMs),
  groupBy: [],
  jobId: undefined,
  limit: 100,
  ...overrides,
});

async function beat(worker: Worker, attemptId: string): Promise<void> {
  const attempts = [{ attemptId, phase: "compute" as const, step: 3, steps: 50, deviceMs: 5, announcedArtifacts: [] }];
  await world().store.beat([{ sessionId: worker.sessionId, sequence: worker.nextSequence(), farmEpoch: 0, attempts }]);
}

test("a worker is shown with what it is and how far its task is", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  expect((await store.listWorkers(undefined))[0]?.running).toMatchObject([{ phase: "fetch", step: 0, steps: 0 }]);
  await beat(worker, claim.attemptId);
  await sql("update attempt set started_at = started_at - interval '10 s'");
  const [view] = await store.listWorkers(undefined);
  expect(view).toMatchObject({ workerId: "w1", state: "busy", softwareVersion: "0", memoryBytes: 1_000, cordon: undefined });
  expect(view?.running).toMatchObject([{ taskId: claim.taskId, jobId, renderPosition: 0, phase: "compute", step: 3, steps: 50 }]);
  expect(view?.running[0]?.elapsedMs).toBeGreaterThanOrEqual(10_000);
  expect(await store.getWorker(undefined, "w1")).toMatchObject({ workerId: "w1", state: "busy" });
});

test("what a worker runs is named by a job that the asker may see, and by none when there is none", async () => {
  const { store } = world();
  const [theirs, both] = [task("theirs", { domain: "x" }), task("both", { domain: "x" })];
  await submit(store, [theirs], { tenant: "other", jobId: "a-1", priority: 9 });
  await submit(store, [both], { tenant: "other", jobId: "a-2" });
  await submit(store, [both], { jobId: "b-1" });
  for (const name of ["w1", "w2"]) await createWorker(store, { name }).claim();
  const seenBy = async (scope: string | undefined): Promise<unknown> =>
    (await store.listWorkers(scope)).flatMap(({ running }) => running.map(({ jobId }) => jobId));
  expect(await seenBy(undefined)).toEqual(["a-1", "a-2"]);
  expect(await seenBy("local")).toEqual(["", "b-1"]);
  expect(await store.getWorker("local", "w1")).toMatchObject({ state: "busy", running: [{ jobId: "", renderPosition: 0 }] });
});

test("a worker is found by its id, or by a name that it alone has", async () => {
  const { store, sql } = world();
  for (const name of ["w1", "w2", "w3"]) await createWorker(store, { name }).next({ freeSlots: 0 });
  await sql("update worker set name = case id when 'w1' then 'w2' else 'twin' end");
  expect((await store.getWorker(undefined, "w1"))?.name).toBe("w2");
  expect((await store.getWorker(undefined, "w2"))?.workerId).toBe("w2");
  expect(await store.getWorker(undefined, "twin")).toBeUndefined();
  await sql("update worker set name = 'only' where id = 'w3'");
  expect((await store.getWorker(undefined, "only"))?.workerId).toBe("w3");
  expect(await store.getWorker(undefined, "nobody")).toBeUndefined();
});

test("the farm's overview counts open tasks by pool and stage, and open jobs of the scope", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  await submit(store, [task("other", { domain: "other" })], { tenant: "other" });
  const ended = await submit(store, [task("ended")]);
  await store.cancelJob("local", ended);
  await createWorker(store).claim();
  await sql("update ready set ready_at = now() - interval '1 minute' where tenant_id = 'local'");
  const all = await store.farmOverview(undefined);
  expect(all).toMatchObject({ name: "test", epoch: 1, openJobs: 2 });
  expect(all.queues).toMatchObject([{ pool: "pool", stage: "denoise", blocked: 2, ready: 2, running: 1, delayed: 0 }]);
  expect(all.queues[0]?.oldestReadyMs).toBeGreaterThanOrEqual(60_000);
  expect(Math.abs(Number(all.at) - Date.now())).toBeLessThan(60_000);
  expect((await store.farmOverview("local")).openJobs).toBe(1);
  await sql("delete from ready");
  await sql("update task set state = 'cancelled', ended_at = now() where state = 'ready'");
  expect((await store.farmOverview("local")).queues).toMatchObject([{ ready: 0, oldestReadyMs: 0 }]);
});

test("usage is added up by any keys, the most expensive first, and what failed is wasted", async () => {
  const { store } = world();
  const first = await submit(store, [task("a", { domain: "one" }), task("b", { domain: "one" })], { tenant: "one", priority: 1 });
  await submit(store, [task("c", { domain: "two" })], { tenant: "two" });
  const [w1, w2] = [createWorker(store), createWorker(store, { name: "w2" })];
  await w1.succeed(await w1.claim());
  await w1.fail(await w1.claim(), "STAGE_INPUT_INVALID");
  await w2.succeed(await w2.claim());
  const total = { attempts: 3, deviceMs: 30, loadMs: 3, computeMs: 24, fetchMs: 3, finishMs: 3, wastedDeviceMs: 10, costNanos: 0n };
  const day = new Date().toISOString().slice(0, 10);
  expect(await store.sumUsage(ask())).toEqual({ rows: [{ keys: [], ...total }], total: { keys: [], ...total }, currency: "" });
  const keyed = async (overrides: Partial<UsageAsk>) =>
    (await store.sumUsage(ask(overrides))).rows.map(({ keys, attempts, wastedDeviceMs }) => [...keys, attempts, wastedDeviceMs]);
  expect(await keyed({ groupBy: ["tenant"] })).toEqual([
    ["one", 2, 10],
    ["two", 1, 0],
  ]);
  expect(await keyed({ groupBy: ["outcome", "worker", "stage"] })).toEqual([
    ["committed", "w1", "denoise", 1, 0],
    ["failed", "w1", "denoise", 1, 10],
    ["committed", "w2", "denoise", 1, 0],
  ]);
  expect(await keyed({ groupBy: ["pool", "job"], scope: "one" })).toEqual([["pool", first, 2, 10]]);
  expect(await keyed({ groupBy: ["day"], scope: "two" })).toEqual([[day, 1, 0]]);
  expect(await keyed({ groupBy: ["tenant"], jobId: first })).toEqual([["one", 2, 10]]);
  expect(await store.sumUsage(ask({ groupBy: ["tenant"], limit: 1 }))).toMatchObject({ rows: [{ keys: ["one"] }], total });
  const nothing = { rows: [], total: { attempts: 0, deviceMs: 0, wastedDeviceMs: 0 } };
  expect(await store.sumUsage(ask({ groupBy: ["day"], until: new Date(Date.now() - hourMs) }))).toMatchObject(nothing);
  expect(await store.sumUsage(ask({ scope: "nobody" }))).toMatchObject(nothing);
});

test("every coordinator gets the same signing key, also when all ask first", async () => {
  const { store, openAnother } = world();
  const another = await openAnother();
  const keys = await Promise.all(Array.from({ length: 8 }, (_unused, index) => (index % 2 === 0 ? store : another).signingKey()));
  expect(new Set(keys.map((key) => Buffer.from(key).toString("hex"))).size).toBe(1);
  expect(keys[0]).toHaveLength(32);
  expect(new Set(keys[0]).size).toBeGreaterThan(8);
});
