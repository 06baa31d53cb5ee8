import { beforeEach, expect, test } from "vitest";
import type { SeenPod } from "../../../services/coordinator/store/store-contract.ts";
import { epochOf, reapAll } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, submit, task, type Worker } from "../../support/store-world.ts";

const world = useWorld();
let epoch = 0;
beforeEach(async () => {
  epoch = await epochOf(world(), "disruptions");
});

const pod = (name: string, given: Partial<SeenPod> = {}): SeenPod => ({
  pool: "pool",
  name,
  createdAtMs: 0,
  cause: undefined,
  message: "",
  isExcuse: false,
  leaveMs: undefined,
  ...given,
});
const evicted = (name: string): SeenPod => pod(name, { cause: "evicted", message: "EvictionByEvictionAPI", isExcuse: true, leaveMs: 0 });
const lostNode = (name: string): SeenPod => pod(name, { cause: "node_lost", message: "its node is not ready", isExcuse: true });
const ownFault = (name: string): SeenPod => pod(name, { cause: "own_fault", message: "OOMKilled" });

async function see(...pods: readonly SeenPod[]) {
  const round = await world().store.disrupt(epoch, ["pool"], pods);
  if (round === undefined) throw new TypeError("the duty is lost");
  return round;
}

const failures = async () => (await world().sql<{ failures: object }>("select failures from task order by id")).map((row) => row.failures);
const lost = () => world().sql("select error_code, error_class from attempt where state = 'lost' order by number");
const free = [{ error_code: "WORKER_DISRUPTED", error_class: "infrastructure" }];
const charged = [{ error_code: "LEASE_LAPSED", error_class: "unexplained" }];

/** A worker that runs the only task. */
async function running(name: string): Promise<Worker> {
  const worker = createWorker(world().store, { name });
  await submit(world().store, [task("only")]);
  await worker.claim();
  await see(pod(name));
  return worker;
}

/** Lets the back-off end; the task is claimed by another worker then. */
async function runAgain(name: string, ...others: readonly string[]): Promise<Worker> {
  await world().sql("update task set delayed_until = now() where state = 'delayed'");
  await world().store.promoteDelayed(await epochOf(world(), "promotion"));
  const worker = createWorker(world().store, { name });
  await worker.claim();
  await see(...[name, ...others].map((each) => pod(each)));
  return worker;
}

test("an evicted worker's attempts are told to leave at once, it gets nothing new, and what it loses costs no retry", async () => {
  const { store } = world();
  const worker = await running("w1");
  const [attemptId] = [...worker.held];
  const round = await see(evicted("w1"));
  expect(round).toEqual({
    told: [{ worker: "w1", cause: "evicted", message: "EvictionByEvictionAPI" }],
    excused: 0,
    pushes: [{ workerId: "w1", attemptId, level: "drain" }],
  });
  expect(await see(evicted("w1"))).toEqual({ told: [], excused: 0, pushes: [] });
  expect((await store.getWorker(undefined, "w1"))?.cordon).toMatchObject({ placedBy: "the cluster" });
  await reapAll(world());
  expect(await lost()).toEqual(free);
  expect(await failures()).toEqual([{ infrastructure: 1 }]);
});

test("a task may be evicted more often than it may fail, and never becomes a dead letter for it", async () => {
  for (let round = 0; round < 6; round += 1) {
    if (round === 0) await running("w0");
    else await runAgain(`w${round}`);
    await see(evicted(`w${round}`));
    await reapAll(world());
  }
  expect(await world().sql("select state from task")).toEqual([{ state: "delayed" }]);
  expect(await failures()).toEqual([{ infrastructure: 6 }]);
});

/** A task whose worker was lost without a word twice, which may happen once more; it runs again. */
async function lostTwice(): Promise<void> {
  await running("w1");
  await reapAll(world());
  await runAgain("w2", "w1");
  await reapAll(world());
  await runAgain("w3", "w1", "w2");
}

test("a loss that the cluster may still explain is not the last one: its word comes in time, and the task goes on", async () => {
  await lostTwice();
  await reapAll(world());
  expect(await world().sql("select state, delayed_until > now() + interval '1 minute' as waits from task")).toEqual([
    { state: "delayed", waits: true },
  ]);
  expect(await see(pod("w1"), pod("w2"), lostNode("w3"))).toMatchObject({ excused: 1 });
  expect(await failures()).toEqual([{ unexplained: 2, infrastructure: 1 }]);
  await runAgain("w4", "w1", "w2", "w3");
  expect(await world().sql("select state from task")).toEqual([{ state: "running" }]);
});

test("without the cluster's word a task that ends its workers has one try more, and no other", async () => {
  await lostTwice();
  await reapAll(world());
  await runAgain("w4", "w1", "w2", "w3");
  await reapAll(world());
  expect(await world().sql("select state, failure_code from task")).toEqual([{ state: "failed", failure_code: "SUSPECTED_POISON" }]);
});

test("a loss whose cause is known is the last one", async () => {
  await lostTwice();
  await see(pod("w1"), pod("w2"), ownFault("w3"));
  await reapAll(world());
  expect(await world().sql("select state from task")).toEqual([{ state: "failed" }]);
});

test("a worker that gives back what it runs costs nothing either", async () => {
  const worker = await running("w1");
  await see(evicted("w1"));
  const [attemptId = ""] = [...worker.held];
  await worker.fail({ attemptId } as Parameters<Worker["fail"]>[0], "STAGE_CANCELLED");
  expect(await failures()).toEqual([{}]);
});

test("a lost node that is noticed after the lease ran out excuses what was charged, and its worker is avoided no more", async () => {
  const { sql } = world();
  await running("w1");
  await reapAll(world());
  expect(await lost()).toEqual(charged);
  expect(await failures()).toEqual([{ unexplained: 1 }]);
  expect(await sql("select avoid from ready")).toEqual([{ avoid: ["w1"] }]);
  expect(await see(lostNode("w1"))).toMatchObject({ excused: 1 });
  expect(await see(lostNode("w1"))).toMatchObject({ excused: 0, told: [] });
  expect(await lost()).toEqual(free);
  expect(await failures()).toEqual([{ infrastructure: 1 }]);
  expect(await sql("select avoid from ready")).toEqual([{ avoid: [] }]);
});

test("a worker whose pod is there no more has lost it to the cluster; one that never was a pod has not", async () => {
  await running("w1");
  await reapAll(world());
  expect(await see()).toMatchObject({ excused: 1, told: [{ worker: "w1", cause: "deleted" }] });
  const other = createWorker(world().store, { name: "elsewhere" });
  await submit(world().store, [task("another")]);
  await other.claim();
  await reapAll(world());
  expect(await see()).toMatchObject({ excused: 0, told: [] });
});

test("a pod that is gone while its worker still beats tells nothing", async () => {
  await running("w1");
  expect(await see()).toEqual({ told: [], excused: 0, pushes: [] });
  expect(await world().sql("select * from disruption")).toEqual([]);
});

test("a worker that ended of itself is charged, though its pod goes and its node is lost afterwards", async () => {
  await running("w1");
  await see(ownFault("w1"));
  await reapAll(world());
  expect(await lost()).toEqual(charged);
  expect(await see(lostNode("w1"))).toMatchObject({ excused: 0 });
  expect(await see()).toMatchObject({ excused: 0 });
  expect(await lost()).toEqual(charged);
});

test("a node that is ready again excuses nothing that happens later, and gives its worker work again", async () => {
  const { store } = world();
  await running("w1");
  await see(pod("w1", { cause: "reclaimed", message: "spot", isExcuse: true, leaveMs: 0 }));
  await see(pod("w1"));
  expect((await store.getWorker(undefined, "w1"))?.cordon).toBeUndefined();
  await reapAll(world());
  expect(await lost()).toEqual(charged);
});

test("the next life of an evicted worker is nobody's excuse", async () => {
  await running("w1");
  await see(evicted("w1"));
  await reapAll(world());
  await world().sql("delete from cordon");
  await runAgain("w1");
  await reapAll(world());
  expect(await lost()).toEqual([...free, ...charged]);
});

test("what the new life of an evicted worker finds of the one before costs no retry", async () => {
  const { store } = world();
  await running("w1");
  await see(evicted("w1"));
  await createWorker(store, { name: "w1" }).next({ freeSlots: 0 });
  expect(await lost()).toEqual(free);
});

test("a node that lacks something excuses a task three times, for its own hunger may be the cause", async () => {
  for (let round = 0; round < 5; round += 1) {
    if (round === 0) await running("w0");
    else await runAgain(`w${round}`);
    await see(pod(`w${round}`, { cause: "pressure", message: "low on memory", isExcuse: true, leaveMs: 0 }));
    await reapAll(world());
  }
  expect(await lost()).toEqual([...free, ...free, ...free, ...charged, ...charged]);
});

test("a worker may not excuse itself with the cluster", async () => {
  const worker = await running("w1");
  const [attemptId = ""] = [...worker.held];
  await world().sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 minute')");
  await see(evicted("w1"));
  await worker.fail({ attemptId } as Parameters<Worker["fail"]>[0], "WORKER_DISRUPTED");
  expect(await failures()).toEqual([{ worker: 1 }]);
});

test("an operator's drain is not put off by a disruption, and a cordon becomes a drain", async () => {
  const { store } = world();
  await running("w1");
  await store.cordonWorker("w1", { by: "ops", reason: "look" });
  expect((await see(evicted("w1"))).pushes).toHaveLength(1);
  expect((await store.getWorker(undefined, "w1"))?.cordon).toMatchObject({ placedBy: "ops" });
});

test("a cordon that became a drain is what it was once the cluster leaves the worker alone", async () => {
  const { store } = world();
  await running("w1");
  await store.cordonWorker("w1", { by: "ops", reason: "look" });
  await see(evicted("w1"));
  expect((await store.getWorker(undefined, "w1"))?.cordon).toMatchObject({ placedBy: "ops" });
  expect(await world().sql("select is_drained, was_drained from cordon")).toEqual([{ is_drained: true, was_drained: false }]);
  await see(pod("w1"));
  expect((await store.getWorker(undefined, "w1"))?.cordon).toMatchObject({ placedBy: "ops", reason: "look" });
  expect(await world().sql("select is_drained, drain_at, was_drained from cordon")).toEqual([
    { is_drained: false, drain_at: null, was_drained: null },
  ]);
});

test("scaling that needs its victim again does not take back the cluster's drain", async () => {
  const { store, sql } = world();
  await running("w1");
  await sql("insert into cordon (worker_id, reason, placed_by, is_drained, origin) values ('w1', 'fewer', 'scaling', false, 'scaling')");
  await see(evicted("w1"));
  const none = { sinceMs: 1, atMs: 2, busy: 0, needs: [], workAtMs: undefined, probedAtMs: undefined };
  const told = { pool: "pool", desired: 1, asked: 1, serving: 1, starting: 0, backlogMs: 0, loadMs: 0, reason: "" };
  await store.applyScale(await epochOf(world(), "scaling"), { ...told, memory: none, cordon: [], uncordon: ["w1"] });
  expect(await sql("select placed_by, is_drained, origin from cordon")).toEqual([
    { placed_by: "the cluster", is_drained: true, origin: "disruption" },
  ]);
  await see(pod("w1"));
  expect(await sql("select worker_id from cordon")).toEqual([]);
});

test("a pod that took the place and name of another is not the one that its worker was lost with", async () => {
  await running("w1");
  await reapAll(world());
  const next = pod("w1", { createdAtMs: Date.now() + 60_000 });
  expect(await see(next)).toMatchObject({ excused: 1, told: [{ worker: "w1", cause: "deleted" }] });
  expect(await see(next)).toMatchObject({ excused: 0, told: [] });
  expect(await lost()).toEqual(free);
  expect(await world().sql("select cause from disruption")).toEqual([{ cause: "deleted" }]);
});

test("what is done to a pod is nothing to a worker of the one before", async () => {
  await running("w1");
  expect(await see({ ...evicted("w1"), createdAtMs: Date.now() + 60_000 })).toEqual({ told: [], excused: 0, pushes: [] });
});

test("under an epoch that is over nothing is told", async () => {
  await running("w1");
  expect(await world().store.disrupt(epoch + 1, ["pool"], [evicted("w1")])).toBeUndefined();
  expect(await world().sql("select * from disruption")).toEqual([]);
});
