import { expect, test } from "vitest";
import { retryTable } from "../../../services/domain/retry.ts";
import type { Store, SubmitJob } from "../../../services/coordinator/store/store-contract.ts";
import { reapAll } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, failure, submit, task, type Worker } from "../../support/store-world.ts";

const world = useWorld({ order: { aheadAfterMs: 0 } });
const gibibyte = 1024 ** 3;

/** A job of so many ready tasks of a tenant. */
function tasksOf(tenant: string, count: number, { shape, ...job }: Partial<SubmitJob> & { readonly shape?: string } = {}): Promise<string> {
  const names = Array.from({ length: count }, (_unused, index) => `${tenant} ${index}`);
  return submit(
    world().store,
    names.map((name) => task(name, { domain: tenant, ...(shape === undefined ? {} : { shape }) })),
    { tenant, ...job },
  );
}

/** Whose task the worker is given; it succeeds at once. */
async function serve(worker: Worker): Promise<string | undefined> {
  const { claim } = await worker.next();
  if (claim === undefined) return undefined;
  await worker.succeed(claim);
  return (claim.parameters as { readonly textEncode: { readonly prompt: string } }).textEncode.prompt.split(" ")[0];
}

async function serveMany(worker: Worker, count: number): Promise<Readonly<Record<string, number>>> {
  const served: Record<string, number> = {};
  for (let turn = 0; turn < count; turn += 1) {
    const tenant = (await serve(worker)) ?? "nobody";
    served[tenant] = (served[tenant] ?? 0) + 1;
  }
  return served;
}

const grant = (tenant: string, limit: Partial<Parameters<Store["setTenantLimit"]>[1]>) =>
  world().store.setTenantLimit(tenant, { weight: 1, maxRunning: undefined, maxWaiting: undefined, ...limit });

/** Runs the order duty once. */
async function tend(store: Store = world().store): Promise<number> {
  const held = await store.holdDuty("order", "test", 60_000);
  return store.tendOrder(held?.epoch ?? 0);
}

async function sharesInMs(): Promise<Readonly<Record<string, number>>> {
  const rows = await world().sql<{ readonly tenant_id: string; readonly ms: number }>(
    "select tenant_id, charged / vf_share_weight(clock_timestamp()) as ms from tenant_share order by 1",
  );
  return Object.fromEntries(rows.map(({ tenant_id: tenant, ms }) => [tenant, ms]));
}

test("two tenants share a pool by their weights, however many tasks one of them has", async () => {
  await grant("b", { weight: 3 });
  await tasksOf("a", 100);
  await tasksOf("b", 30);
  const served = await serveMany(createWorker(world().store), 24);
  expect(served["a"]).toBeGreaterThanOrEqual(5);
  expect(served["a"]).toBeLessThanOrEqual(7);
  expect(served).toEqual({ a: served["a"], b: 24 - (served["a"] ?? 0) });
});

test("a claim is charged at once as long as its shape takes, and a report corrects it to what the device counted", async () => {
  const { store } = world();
  await tasksOf("a", 3);
  const worker = createWorker(store);
  const first = await worker.claim();
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(1_000, -2);
  await worker.succeed(first);
  await tend();
  // Device time of a played run: 10 ms.
  expect((await sharesInMs())["a"]).toBeCloseTo(10, 0);
  const second = await worker.claim();
  await worker.report(failure(second, "STAGE_CANCELLED"));
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(20, 0);
});

test("an attempt whose worker is lost stays charged with what was last beaten, and a late report corrects that", async () => {
  const { store } = world();
  await tasksOf("a", 1);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await worker.beat(claim, 700);
  await createWorker(store).next({ freeSlots: 0 });
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(700, -1);
  await worker.succeed(claim);
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(10, 0);
});

test("a benchmark gets its floor while production has endless work, and no more", async () => {
  await tasksOf("a", 60);
  await tasksOf("lab", 60, { jobClass: "benchmark", priority: 100 });
  const served = await serveMany(createWorker(world().store), 40);
  expect(served["lab"]).toBeGreaterThanOrEqual(3);
  expect(served["lab"]).toBeLessThanOrEqual(5);
});

test("a tenant has at most as many attempts at once as it may, and others go on", async () => {
  const { store } = world();
  await grant("a", { maxRunning: 1 });
  await tasksOf("a", 3, { priority: 5 });
  await tasksOf("b", 1);
  const [first, second, third] = ["w1", "w2", "w3"].map((name) => createWorker(store, { name })) as [Worker, Worker, Worker];
  const claim = await first.claim();
  expect(await serve(second)).toBe("b");
  expect(await serve(third)).toBeUndefined();
  await first.succeed(claim);
  expect(await serve(third)).toBe("a");
});

test("a tenant that may run nothing is given nothing until it may", async () => {
  await grant("a", { maxRunning: 0 });
  await tasksOf("a", 1);
  const worker = createWorker(world().store);
  expect(await serve(worker)).toBeUndefined();
  await grant("a", {});
  expect(await serve(worker)).toBe("a");
});

test("a task goes to a worker that has the memory, which takes it before what smaller ones can run", async () => {
  const { store } = world();
  await store.learnShapes({ "denoise/large": 40 * gibibyte, "denoise/e1": 4 * gibibyte });
  const shapes = ["denoise/e1", "denoise/large"];
  const small = createWorker(store, { name: "small", shapes, memoryBytes: 24 * gibibyte });
  const large = createWorker(store, { name: "large", shapes, memoryBytes: 80 * gibibyte });
  await small.next({ freeSlots: 0 });
  await large.next({ freeSlots: 0 });
  await tend();
  await tasksOf("a", 2);
  await tasksOf("b", 2, { shape: "denoise/large" });
  await tasksOf("b2", 1);
  expect([await serve(large), await serve(large), await serve(small), await serve(small), await serve(small), await serve(small)]).toEqual([
    "b",
    "b",
    "a",
    "b2",
    "a",
    undefined,
  ]);
});

test("of two models that say what a shape needs the larger counts", async () => {
  const { store, sql } = world();
  await store.learnShapes({ "denoise/e1": 8 });
  await store.learnShapes({ "denoise/e1": 4, "vae_decode/e2": 2 });
  expect(await sql("select shape, memory_bytes::integer as bytes from shape_need order by 1")).toEqual([
    { shape: "denoise/e1", bytes: 8 },
    { shape: "vae_decode/e2", bytes: 2 },
  ]);
});

test("the task of a job that is due first is claimed first, and a deadline that is given later counts", async () => {
  const { store } = world();
  const [soon, later] = [new Date(Date.now() + 3_600_000), new Date(Date.now() + 7_200_000)];
  await submit(store, [task("none")]);
  await submit(store, [task("later", { domain: "2" })], { deadline: later });
  const job = await submit(store, [task("soon", { domain: "3" })]);
  await store.updateJob("local", job, { deadline: soon });
  const worker = createWorker(store);
  expect([await serve(worker), await serve(worker), await serve(worker)]).toEqual(["soon", "later", "none"]);
});

test("the tasks of a render that is nearly done come before those of one that has begun", async () => {
  const { store } = world();
  await submit(store, [task("wide"), task("also wide"), task("third")]);
  await submit(store, [task("narrow", { domain: "2" })]);
  expect(await serve(createWorker(store))).toBe("narrow");
});

test("a busy worker that asks ahead gets one reservation, which is charged when it begins", async () => {
  const { store } = world();
  await tasksOf("a", 3);
  const worker = createWorker(store);
  const running = await worker.claim();
  const { claim } = await worker.next({ freeSlots: 0, aheadSlots: 1 });
  expect(claim).toMatchObject({ isReserved: true, attemptNumber: 1 });
  expect((await worker.next({ freeSlots: 0, aheadSlots: 1 })).claim).toBeUndefined();
  await worker.succeed(running);
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(10, 0);
  if (claim === undefined) return;
  await worker.beat(claim, 0, { phase: "fetch" });
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(10, 0);
  await worker.beat(claim, 1, { phase: "compute" });
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(18, 0);
  await worker.succeed(claim);
  await tend();
  expect((await sharesInMs())["a"]).toBeCloseTo(20, 0);
});

test("a worker that is free takes what another has only reserved; that one hears so, and its report changes nothing", async () => {
  const { store, sql } = world();
  await tasksOf("a", 2);
  const [busy, free] = [createWorker(store), createWorker(store, { name: "w2" })];
  await busy.claim();
  const reserved = (await busy.next({ freeSlots: 0, aheadSlots: 1 })).claim;
  if (reserved === undefined) throw new TypeError("nothing was reserved");
  const taken = await free.next();
  expect(taken.claim).toMatchObject({ taskId: reserved.taskId, isReserved: false, attemptNumber: 2 });
  expect(taken.aftermath.pushes).toEqual([{ workerId: "w1", attemptId: reserved.attemptId, level: "revoked" }]);
  const [answer] = await busy.succeed(reserved);
  expect(answer).toMatchObject({ reportOutcomes: [{ disposition: "superseded" }] });
  expect(await sql("select state, current_attempt from task where id = $1", [reserved.taskId])).toEqual([
    { state: "running", current_attempt: taken.claim?.attemptId },
  ]);
});

test("a reservation that its worker has begun is not taken by another", async () => {
  const { store } = world();
  await tasksOf("a", 2);
  const [busy, free] = [createWorker(store), createWorker(store, { name: "w2" })];
  await busy.claim();
  const { claim } = await busy.next({ freeSlots: 0, aheadSlots: 1 });
  if (claim === undefined) throw new TypeError("nothing was reserved");
  await busy.beat(claim, 0, { phase: "compute" });
  expect((await free.next()).claim).toBeUndefined();
});

test("a claim tells for which class it is, and how long its task was ready", async () => {
  await tasksOf("a", 1, { jobClass: "benchmark" });
  await world().sql("update ready set ready_at = ready_at - interval '10 s'");
  const { claim } = await createWorker(world().store).next();
  expect(claim?.jobClass).toBe("benchmark");
  expect(claim?.waitedMs).toBeGreaterThanOrEqual(10_000);
  expect(claim?.waitedMs).toBeLessThan(60_000);
});

test("what a lost worker was only promised is not held against the task or the worker, three times; what it ran is", async () => {
  const { store, sql } = world();
  const { spared = 0 } = retryTable.unexplained;
  expect(spared).toBe(3);
  await tasksOf("a", 2);
  const charged: (readonly number[])[] = [];
  let ran = 0;
  for (let loss = 1; loss <= spared + 1; loss += 1) {
    const worker = createWorker(store, { name: `w${loss}`, life: loss });
    ran = (await worker.claim()).taskId;
    expect((await worker.next({ freeSlots: 0, aheadSlots: 1 })).claim?.isReserved).toBe(true);
    await reapAll(world());
    const rows = await sql<{ count: number }>(
      "select coalesce((failures ->> 'unexplained')::integer, 0) as count from task order by id = $1 desc",
      [ran],
    );
    charged.push(rows.map(({ count }) => count));
    // The next worker is given the same one.
    await sql("update task set failures = '{}' where id = $1", [ran]);
  }
  expect(charged).toEqual([[1, 0], [1, 0], [1, 0], [1, 1]]); // prettier-ignore
  expect(await sql("select number, error_class, error_code from attempt where task_id <> $1 order by number", [ran])).toEqual(
    [1, 2, 3, 4].map((number) => ({ number, error_class: number === 4 ? "unexplained" : null, error_code: "LEASE_LAPSED" })),
  );
});

test("lanes that are empty are closed, those with tasks stay, and one that is missing is opened and counted", async () => {
  const { sql } = world();
  await tasksOf("a", 1);
  await tasksOf("b", 1);
  await serve(createWorker(world().store));
  expect(await tend()).toBe(0);
  expect(await sql("select tenant_id from lane")).toEqual([{ tenant_id: "b" }]);
  await sql("delete from lane");
  expect(await tend()).toBe(1);
  expect(await serve(createWorker(world().store, { name: "w2" }))).toBe("b");
});

test("another half-life leaves what tenants had as it is, and counts from then on", async () => {
  const { openAnother } = world();
  await tasksOf("a", 1);
  await serve(createWorker(world().store));
  await tend();
  const before = (await sharesInMs())["a"] ?? 0;
  await tend(await openAnother({ order: { halfLifeMs: 60_000 } }));
  expect((await sharesInMs())["a"]).toBeCloseTo(before, 1);
});

test("the order duty does nothing under an epoch that is over", async () => {
  await tasksOf("a", 1);
  await world().sql("delete from lane");
  expect(await world().store.tendOrder(99)).toBe(0);
  expect(await world().sql("select 1 from lane")).toEqual([]);
});
