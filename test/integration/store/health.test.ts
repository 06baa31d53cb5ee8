import { beforeEach, describe, expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, submit, task, type Worker, type WorkerOptions } from "../../support/store-world.ts";

const world = useWorld();
let epoch = 0;
beforeEach(async () => {
  epoch = (await world().store.holdDuty("health", "test", 600_000))?.epoch ?? 0;
});

const judge = () => world().store.judgeWorkers(epoch);
const healthOf = async (name: string) => (await world().store.getWorker(undefined, name))?.health;

/** A worker that is known and asks for nothing. */
async function known(name: string, options: WorkerOptions = {}): Promise<Worker> {
  const worker = createWorker(world().store, { name, ...options });
  await worker.next({ freeSlots: 0 });
  return worker;
}

/** The worker fails a task of each tenant. */
async function failFor(worker: Worker, tenants: readonly string[], code = "RUNTIME_DIED"): Promise<void> {
  for (const tenant of tenants) {
    const name = `of ${tenant} ${worker.nextSequence()}`;
    await submit(world().store, [task(name, { domain: tenant })], { tenant, priority: 50 });
    await worker.fail(await worker.claim(), code);
  }
}

/** Lets the time of its state pass. */
const pass = (name: string) =>
  world().sql("update worker_health set ends_at = now(), since = since - interval '1 hour' where worker_id = $1", [name]);

const names = (changes: readonly { readonly name: string; readonly state: string }[]) => changes.map(({ name, state }) => [name, state]);

test("a worker that failed tasks of three tenants gets nothing, comes back on probation and, after two successes, wholly", async () => {
  const { store } = world();
  const sick = createWorker(store, { name: "sick" });
  const well = await known("well");
  await failFor(sick, ["a", "b", "c"]);
  const suspended = await judge();
  expect(names(suspended.changes)).toEqual([["sick", "suspended"]]);
  expect(await healthOf("sick")).toMatchObject({ state: "suspended", spells: 1, reason: "3 of its last 3 attempts failed" });
  expect(await store.idleWorkers("pool", "denoise/e1", 9)).not.toContain("sick");
  expect((await sick.next()).claim).toBeUndefined();
  while ((await well.next()).claim !== undefined);
  await pass("sick");
  expect(names((await judge()).changes)).toEqual([["sick", "probation"]]);
  await submit(store, [task("one"), task("two"), task("three")]);
  const first = await sick.claim();
  expect((await sick.next()).claim).toBeUndefined();
  await sick.succeed(first);
  await sick.succeed(await sick.claim());
  expect(names((await judge()).changes)).toEqual([["sick", "healthy"]]);
  expect(await healthOf("sick")).toBeUndefined();
  expect((await sick.next()).claim).toBeDefined();
});

test("what a worker was only promised and gives back counts neither against it nor for its task", async () => {
  const { store, sql } = world();
  const slow = createWorker(store, { name: "slow" });
  const well = await known("well");
  await submit(store, ["runs", "a", "b", "c", "d"].map((name) => task(name))); // prettier-ignore
  await slow.claim();
  for (let promise = 0; promise < 4; promise += 1) {
    await sql("update ready set ready_at = now() - interval '1 minute'");
    const { claim } = await slow.next({ freeSlots: 0, aheadSlots: 1 });
    if (claim?.isReserved !== true) expect.fail("nothing was promised");
    await slow.fail(claim, "STAGE_CANCELLED");
    expect(await sql("select state from task where id = $1", [claim.taskId])).toEqual([{ state: "ready" }]);
    await well.succeed(await well.claim());
  }
  expect((await judge()).changes).toEqual([]);
  expect(await sql("select 1 from attempt where is_unordered")).toEqual([]);
});

test("one tenant's tasks that fail everywhere suspend nobody, and end as dead letters", async () => {
  const { store, sql } = world();
  const workers = [createWorker(store, { name: "a" }), createWorker(store, { name: "b" }), createWorker(store, { name: "c" })];
  for (const worker of workers) await worker.next({ freeSlots: 0 });
  await submit(
    store,
    Array.from({ length: 4 }, (_unused, index) => task(`poison ${index}`, { domain: "bad" })),
    { tenant: "bad" },
  );
  for (let round = 0; round < 12; round += 1) {
    for (const worker of workers) {
      const { claim } = await worker.next();
      if (claim !== undefined) await worker.fail(claim, "RUNTIME_DIED");
      expect((await judge()).changes).toEqual([]);
    }
  }
  expect(await sql("select distinct state, failure_code from task where state <> 'cancelled'")).toEqual([
    { state: "failed", failure_code: "SUSPECTED_POISON" },
  ]);
});

test("tasks of one tenant that succeed elsewhere afterwards suspend the worker where they failed", async () => {
  const { store } = world();
  const [sick, well] = [createWorker(store, { name: "sick" }), await known("well")];
  for (let index = 0; index < 3; index += 1) {
    await failFor(sick, ["a"]);
    await well.succeed(await well.claim());
  }
  expect(names((await judge()).changes)).toEqual([["sick", "suspended"]]);
});

test("a failure on probation suspends for twice as long; what had failed before is given to others", async () => {
  const { store, sql } = world();
  const sick = createWorker(store, { name: "sick" });
  const [well, other] = [await known("well"), await known("other")];
  await failFor(sick, ["a", "b", "c"]);
  await judge();
  await pass("sick");
  await judge();
  await submit(store, [task("failed before"), task("fresh", { shape: "denoise/e1" })]);
  while ((await other.next()).claim !== undefined);
  await failFor(well, ["d"]);
  const [row] = await sql<{ avoid: string[] }>("select avoid from ready");
  expect([...(row?.avoid ?? [])].sort()).toEqual(["sick", "well"]);
  expect((await sick.next()).claim).toBeUndefined();
  await submit(store, [task("a test")]);
  await sick.fail(await sick.claim(), "RUNTIME_DIED");
  expect(names((await judge()).changes)).toEqual([["sick", "suspended"]]);
  const [spell] = await sql("select spells, extract(epoch from ends_at - since)::integer as seconds from worker_health");
  expect(spell).toEqual({ spells: 2, seconds: 120 });
});

describe("what fails on every worker of a pool", () => {
  test("suspends at most half of them, and says who was held back", async () => {
    const { store } = world();
    const workers = ["a", "b", "c"].map((name) => createWorker(store, { name }));
    for (const worker of workers) await worker.next({ freeSlots: 0 });
    for (const [index, worker] of workers.entries()) {
      await failFor(
        worker,
        ["x", "y", "z"].map((tenant) => `${tenant}${index}`),
        "RUNTIME_START_FAILED",
      );
    }
    const { changes, heldBack } = await judge();
    expect([changes.length, heldBack.length]).toEqual([1, 2]);
    expect((await judge()).changes).toEqual([]);
  });

  test("never takes the last one, and lets a suspended one work when the others have gone", async () => {
    const { store, sql } = world();
    const only = createWorker(store, { name: "only" });
    await failFor(only, ["a", "b", "c"], "RUNTIME_START_FAILED");
    expect(await judge()).toMatchObject({ changes: [], heldBack: ["only"] });
    const other = await known("other");
    expect(names((await judge()).changes)).toEqual([["only", "suspended"]]);
    await sql("update session set lease_until = now() - interval '1 s' where id = $1", [other.sessionId]);
    expect(names((await judge()).changes)).toEqual([["only", "probation"]]);
  });
});

test("a worker that an operator clears gets work at once, its engines too, and nothing of before counts", async () => {
  const { store } = world();
  const sick = createWorker(store, { name: "sick" });
  await known("well");
  await failFor(sick, ["a", "b", "c"]);
  await judge();
  const cleared = await store.clearWorker("sick", "ops");
  expect(cleared?.worker.health).toBeUndefined();
  expect(cleared?.aftermath.ready).toEqual([{ pool: "pool", shape: "denoise/e1", count: 3 }]);
  expect((await judge()).changes).toEqual([]);
  await submit(store, [task("next")], { priority: 100 });
  await sick.fail(await sick.claim(), "ENGINE_LOAD_FAILED");
  expect((await healthOf("sick"))?.quarantines).toHaveLength(1);
  await store.clearWorker("sick", "ops");
  expect(await healthOf("sick")).toBeUndefined();
  expect(await store.clearWorker("nobody", "ops")).toBeUndefined();
});

test("another release of a suspended worker gets work", async () => {
  const { store } = world();
  const sick = createWorker(store, { name: "sick" });
  await known("well");
  await failFor(sick, ["a", "b", "c"]);
  await judge();
  await known("sick", { softwareVersion: "1" });
  expect(names((await judge()).changes)).toEqual([["sick", "healthy"]]);
});

test("a verdict without the duty changes nothing", async () => {
  const { store } = world();
  const sick = createWorker(store, { name: "sick" });
  await known("well");
  await failFor(sick, ["a", "b", "c"]);
  expect(await store.judgeWorkers(epoch + 1)).toMatchObject({ changes: [], aftermaths: [] });
  expect(await healthOf("sick")).toBeUndefined();
  expect(await store.healthCounts()).toEqual([]);
  await judge();
  expect(await store.healthCounts()).toEqual([{ kind: "suspended", pool: "pool", count: 1 }]);
});
