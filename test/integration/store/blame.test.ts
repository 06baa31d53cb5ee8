import { describe, expect, test } from "vitest";
import { errorTable, type ErrorClass, type ErrorCode } from "../../../services/domain/errors.ts";
import { retryTable } from "../../../services/domain/retry.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, failure, submit, success, task, type Worker, type WorkerOptions } from "../../support/store-world.ts";

const world = useWorld();
const note = { by: "ops", reason: "" };

/** A worker that is known and asks for nothing. */
async function known(name: string, options: WorkerOptions = {}): Promise<Worker> {
  const worker = createWorker(world().store, { name, ...options });
  await worker.next({ freeSlots: 0 });
  return worker;
}

async function skipBackOff(): Promise<void> {
  const { sql, store } = world();
  await sql("update task set delayed_until = now() where state = 'delayed'");
  await store.promoteDelayed((await store.holdDuty("promotion", "test", 60_000))?.epoch ?? 0);
}

const claimOf = async (worker: Worker): Promise<number | undefined> => (await worker.next()).claim?.taskId;

const codes: Readonly<Record<ErrorClass, ErrorCode>> = {
  input: "STAGE_INPUT_INVALID",
  transient: "STAGE_FAILED",
  capacity: "STAGE_OUT_OF_MEMORY",
  engine: "ENGINE_LOAD_FAILED",
  artifact: "ARTIFACT_MISSING",
  infrastructure: "OUTAGE_LIMIT_REACHED",
  unexplained: "RUNTIME_DIED",
  worker: "RUNTIME_START_FAILED",
};

test.each((Object.keys(retryTable) as ErrorClass[]).filter((each) => retryTable[each].failures !== 1))(
  "a task that failed by class %s avoids its worker exactly if the domain's table says so",
  async (errorClass) => {
    const { store, sql } = world();
    expect(errorTable[codes[errorClass]].errorClass).toBe(errorClass);
    await sql("insert into canary (last_at, unbroken_since) values (now(), now() + interval '1 minute')");
    await submit(store, [task("root"), task("only", { after: ["root"] })]);
    const first = createWorker(store, { name: "a" });
    await first.succeed(await first.claim());
    const claim = await first.claim();
    await known("b", { memoryBytes: 2_000 });
    await first.fail(claim, codes[errorClass]);
    await skipBackOff();
    const rows = await sql<{ avoid: string[] }>("select avoid from ready where task_id = $1", [claim.taskId]);
    expect(rows).toEqual([{ avoid: retryTable[errorClass].avoidsWorker ? ["a"] : [] }]);
  },
);

describe("a task that ended its worker", () => {
  test("waits for another worker that is busy, and does not run on the first again", async () => {
    const { store } = world();
    await submit(store, [task("keeps b busy"), task("poison")]);
    const [a, b] = [createWorker(store, { name: "a" }), createWorker(store, { name: "b" })];
    const other = await b.claim();
    const poison = await a.claim();
    await a.fail(poison, "RUNTIME_DIED");
    expect(await claimOf(a)).toBeUndefined();
    await b.succeed(other);
    expect(await claimOf(b)).toBe(poison.taskId);
  });

  test("waits for another worker that is suspended, too: that one comes back", async () => {
    const { store, sql } = world();
    await submit(store, [task("poison")]);
    const a = createWorker(store, { name: "a" });
    await known("b");
    const poison = await a.claim();
    await sql(`insert into worker_health values ('b', 'suspended', '', 1, now(), now() + interval '1 minute', 1, '0', 'cpu;test')`);
    await a.fail(poison, "RUNTIME_DIED");
    expect(await claimOf(a)).toBeUndefined();
  });

  test("runs on it again where the pool has no other, which counts: the third time it is suspected poison", async () => {
    const { store } = world();
    const jobId = await submit(store, [task("poison")]);
    const only = createWorker(store, { name: "only" });
    for (let died = 0; died < 3; died += 1) await only.fail(await only.claim(), "RUNTIME_DIED");
    expect(await claimOf(only)).toBeUndefined();
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "failed", failure: { code: "SUSPECTED_POISON" } });
  });
});

describe("out of memory", () => {
  const needs = () =>
    world().sql<{ label: string; memory_bytes: string }>(
      "select label, memory_bytes from task t join task_user u on u.task_id = t.id order by label",
    );

  test("raises what the task needs above its worker's memory, and what later tasks of its shape start with", async () => {
    const { store } = world();
    await submit(store, [task("first")]);
    const small = createWorker(store, { name: "small" });
    await known("large", { memoryBytes: 2_000 });
    await small.fail(await small.claim(), "STAGE_OUT_OF_MEMORY");
    await submit(store, [task("later")]);
    await submit(store, [task("of another shape", { shape: "denoise/e2" })]);
    expect(await needs()).toEqual([
      { label: "first", memory_bytes: "1001" },
      { label: "later", memory_bytes: "1001" },
      { label: "of another shape", memory_bytes: "0" },
    ]);
  });

  test("is no reason to expect more of a shape once one of it succeeded with less, nor a day later", async () => {
    const { store, sql } = world();
    await submit(store, [task("before"), task("first")]);
    const [small, twin] = [createWorker(store, { name: "small" }), createWorker(store, { name: "twin" })];
    await known("large", { memoryBytes: 2_000 });
    const [one, two] = [await small.claim(), await twin.claim()];
    await small.fail(one, "STAGE_OUT_OF_MEMORY");
    await sql("update shape_estimate set told_at = now() - interval '25 hours'");
    await submit(store, [task("a day later")]);
    await sql("update shape_estimate set told_at = now()");
    await twin.succeed(two);
    await submit(store, [task("after the success")]);
    const later = (await needs()).filter(({ label }) => label.startsWith("a"));
    expect(later).toEqual([
      { label: "a day later", memory_bytes: "0" },
      { label: "after the success", memory_bytes: "0" },
    ]);
  });

  test("is tried again where memory is not known: there it may be more, and here it says nothing", async () => {
    const { store } = world();
    await submit(store, [task("first")]);
    const unknown = createWorker(store, { name: "unknown", memoryBytes: 0 });
    await unknown.fail(await unknown.claim(), "STAGE_OUT_OF_MEMORY");
    expect(await needs()).toEqual([{ label: "first", memory_bytes: "0" }]);
    await skipBackOff();
    const known = createWorker(store, { name: "known" });
    await known.fail(await known.claim(), "STAGE_OUT_OF_MEMORY");
    expect(await needs()).toEqual([{ label: "first", memory_bytes: "1001" }]);
    await skipBackOff();
    expect((await unknown.next()).claim).toBeDefined();
  });

  test("where no known worker has more fails the task at once, with the numbers, and says nothing of its shape", async () => {
    const { store, sql } = world();
    const jobId = await submit(store, [task("first")]);
    await known("twin");
    const large = createWorker(store, { name: "large" });
    await large.fail(await large.claim(), "STAGE_OUT_OF_MEMORY");
    const { failure: told } = (await store.getJob("local", jobId)) ?? {};
    expect(told).toMatchObject({ code: "STAGE_OUT_OF_MEMORY" });
    expect(told?.message).toBe(
      "it ran out of memory on large, which has 1000 bytes; no worker of pool pool that is known has more than 1000",
    );
    expect(await sql("select * from shape_estimate")).toEqual([]);
  });
});

describe("an engine that failed on a worker", () => {
  /** Lets the quarantine end. */
  const wait = () => world().sql("update quarantine set ends_at = now(), began_at = now() - interval '1 hour'");
  const lefts = () =>
    world().sql("select shape, failures, round(extract(epoch from ends_at - began_at))::integer as seconds from quarantine");

  async function failing(count: number): Promise<Worker> {
    const { store } = world();
    await submit(
      store,
      Array.from({ length: count }, (_unused, index) => task(`t${index}`)),
    );
    return createWorker(store, { name: "a" });
  }

  test("is shut there, also for a claim with the failure's report; what needs another engine goes on", async () => {
    const { store } = world();
    const worker = await failing(3);
    const claim = await worker.claim();
    worker.held.delete(claim.attemptId);
    expect((await worker.next({ reports: [failure(claim, "ENGINE_LOAD_FAILED")] })).claim).toBeUndefined();
    expect(await claimOf(worker)).toBeUndefined();
    await submit(store, [task("other", { shape: "prepare/-" })]);
    expect(await claimOf(worker)).toBeDefined();
    expect(await store.getWorker("local", "a")).toMatchObject({
      health: { state: "healthy", quarantines: [{ shape: "denoise/e1", failures: 1, code: "ENGINE_LOAD_FAILED" }] },
    });
  });

  test("is tried by one task after ten seconds; failing again it is shut for twice as long, a success opens it", async () => {
    const worker = await failing(4);
    await worker.fail(await worker.claim(), "ENGINE_LOAD_FAILED");
    expect(await lefts()).toEqual([{ shape: "denoise/e1", failures: 1, seconds: 10 }]);
    await wait();
    await worker.fail(await worker.claim(), "ENGINE_LOAD_FAILED");
    expect(await lefts()).toEqual([{ shape: "denoise/e1", failures: 2, seconds: 20 }]);
    expect(await claimOf(worker)).toBeUndefined();
    await wait();
    await worker.succeed(await worker.claim());
    expect(await lefts()).toEqual([]);
    expect(await claimOf(worker)).toBeDefined();
  });

  test("is tried at once by another release of the worker", async () => {
    const { store } = world();
    const worker = await failing(2);
    await worker.fail(await worker.claim(), "ENGINE_LOAD_FAILED");
    expect(await claimOf(worker)).toBeUndefined();
    const renewed = createWorker(store, { name: "a", softwareVersion: "1" });
    expect(await claimOf(renewed)).toBeDefined();
    expect((await store.getWorker("local", "a"))?.health).toBeUndefined();
  });

  test("leaves its tasks to the others, and costs each at most three", async () => {
    const { store } = world();
    const [a, b] = [await failing(1), createWorker(store, { name: "b" })];
    const claim = await a.claim();
    await b.next({ freeSlots: 0 });
    await a.fail(claim, "ENGINE_LOAD_FAILED");
    await skipBackOff();
    expect(await claimOf(b)).toBe(claim.taskId);
  });
});

describe("a cause outside of the worker", () => {
  test("that only the worker names is the worker's own", async () => {
    const { store, sql } = world();
    await sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 hour')");
    await submit(store, [task("only")]);
    const worker = createWorker(store);
    await worker.fail(await worker.claim(), "OUTAGE_LIMIT_REACHED");
    expect(await sql("select failures from task")).toEqual([{ failures: { worker: 1 } }]);
    expect(await sql("select error_code, error_class from attempt")).toEqual([
      { error_code: "OUTAGE_LIMIT_REACHED", error_class: "worker" },
    ]);
  });

  test("that the farm's canary was silent for is free", async () => {
    const { store, sql } = world();
    await submit(store, [task("only")]);
    const worker = createWorker(store);
    const claim = await worker.claim();
    await sql("insert into canary (last_at, unbroken_since) values (now(), now())");
    await worker.fail(claim, "OUTAGE_LIMIT_REACHED");
    expect(await sql("select failures from task")).toEqual([{ failures: { infrastructure: 1 } }]);
  });

  test("is not needed to give back what a drain has ordered: that is free however often", async () => {
    const { store, sql } = world();
    await submit(store, [task("only")]);
    for (const name of ["a", "b", "c", "d"]) {
      const worker = createWorker(store, { name });
      const claim = await worker.claim();
      await store.drainWorker(name, note, 0);
      await worker.fail(claim, "STAGE_CANCELLED");
    }
    expect(await sql("select state, failures from task")).toEqual([{ state: "ready", failures: {} }]);
  });

  test("that is missing makes what workers give back again and again wait ever longer, unless they then stop in order", async () => {
    const { store, sql } = world();
    await submit(store, [task("only")]);
    const worker = createWorker(store, { name: "a" });
    const waits: unknown[] = [];
    for (let given = 0; given < 4; given += 1) {
      await worker.fail(await worker.claim(), "STAGE_CANCELLED");
      waits.push(...(await sql("select state, round(extract(epoch from delayed_until - now()))::integer as seconds from task")));
      await skipBackOff();
    }
    expect(waits).toEqual([
      { state: "ready", seconds: null },
      { state: "delayed", seconds: 1 },
      { state: "delayed", seconds: 2 },
      { state: "delayed", seconds: 4 },
    ]);
    await worker.next({ freeSlots: 0, leaving: true });
    const stopping = createWorker(store, { name: "b" });
    await stopping.fail(await stopping.claim(), "STAGE_CANCELLED");
    expect(await sql("select state, failures from task")).toEqual([{ state: "ready", failures: {} }]);
  });
});

test("what a runtime wrote last is kept with its failed attempt", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const report = failure(await worker.claim(), "RUNTIME_DIED");
  await worker.report({ ...report, outcome: { ...report.outcome, logTail: "last words\n" } as typeof report.outcome });
  await worker.report(success(await worker.claim()));
  expect(await sql("select log_tail from attempt order by number")).toEqual([{ log_tail: "last words\n" }, { log_tail: null }]);
});

test("a worker that was started anew tells the last words of what it lost, and only of its own", async () => {
  const { store, sql } = world();
  await submit(store, [task("one"), task("two")]);
  const [killed, other] = [createWorker(store, { name: "a" }), createWorker(store, { name: "b" })];
  const [lost, foreign] = [await killed.claim(), await other.claim()];
  const again = createWorker(store, { name: "a" });
  const lostAttempts = [lost, foreign].map(({ attemptId }) => ({ attemptId, logTail: "last words" }));
  await again.next({ freeSlots: 0, lostAttempts });
  await again.next({ freeSlots: 0, lostAttempts: [{ attemptId: lost.attemptId, logTail: "later words" }] });
  expect(await sql("select worker_id, state, log_tail from attempt order by worker_id")).toEqual([
    { worker_id: "a", state: "lost", log_tail: "last words" },
    { worker_id: "b", state: "running", log_tail: null },
  ]);
});
