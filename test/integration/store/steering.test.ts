import { expect, test } from "vitest";
import type { Store } from "../../../services/coordinator/store/store-contract.ts";
import { defaultOrder } from "../../../services/coordinator/store/store.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, description, diamond, submit, task, type Worker, type World } from "../../support/store-world.ts";
import { until } from "../../support/until.ts";

const world = useWorld();
const note = { by: "ops", reason: "maintenance" };

async function levelOf(store: Store, worker: Worker, attemptId: string): Promise<string | undefined> {
  const attempts = [{ attemptId, phase: "compute" as const, step: 1, steps: 4, deviceMs: 5, announcedArtifacts: [] }];
  const [answer] = await store.beat([{ sessionId: worker.sessionId, sequence: worker.nextSequence(), farmEpoch: 0, attempts }]);
  return answer?.kind === "answered" ? answer.levels[0]?.level : answer?.code;
}

test.each([
  { scope: "farm" as const, name: "" },
  { scope: "pool" as const, name: "pool" },
  { scope: "tenant" as const, name: "local" },
])("what is held by $scope is not claimed, and what runs goes on", async (target) => {
  const { store } = world();
  await submit(store, diamond());
  const [runs, waits] = [createWorker(store), createWorker(store, { name: "w2" })];
  const claim = await runs.claim();
  await store.placeHold(target, note);
  expect((await waits.next()).claim).toBeUndefined();
  expect(await levelOf(store, runs, claim.attemptId)).toBe("wanted");
  expect(await runs.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
  expect(await store.releaseHold(target)).toMatchObject({ ready: [{ pool: "pool", shape: "denoise/e1", count: 1 }] });
  expect((await waits.next()).claim).toBeDefined();
  expect(await store.releaseHold(target)).toBeUndefined();
});

test("a hold of another pool or tenant holds nothing here", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  await store.placeHold({ scope: "pool", name: "other" }, note);
  await store.placeHold({ scope: "tenant", name: "other" }, note);
  expect((await createWorker(store).next()).claim).toBeDefined();
});

test("a hold that is placed again keeps its time and takes the last reason; holds are listed farm, pools, tenants", async () => {
  const { store } = world();
  await store.placeHold({ scope: "tenant", name: "b" }, note);
  await store.placeHold({ scope: "tenant", name: "a" }, note);
  const first = await store.placeHold({ scope: "farm", name: "" }, note);
  const again = await store.placeHold({ scope: "farm", name: "" }, { by: "other", reason: "longer" });
  expect(again).toEqual({ ...first, reason: "longer" });
  expect((await store.listHolds()).map(({ scope, name }) => `${scope} ${name}`)).toEqual(["farm ", "tenant a", "tenant b"]);
});

test("what stays held by something else does not count as ready after a release", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  await store.placeHold({ scope: "farm", name: "" }, note);
  await store.placeHold({ scope: "tenant", name: "local" }, note);
  expect(await store.releaseHold({ scope: "tenant", name: "local" })).toMatchObject({ ready: [] });
  expect(await store.releaseHold({ scope: "farm", name: "" })).toMatchObject({ ready: [{ count: 1 }] });
});

test("while a tenant is held the others' tasks are claimed in their order, whatever shape they have", async () => {
  const { store } = world();
  const shapes = ["denoise/e1", "prepare/-"];
  for (const [tenant, priority] of [["held", 90] as const, ["low", 1] as const, ["high", 5] as const, ["middle", 3] as const]) {
    const shape = tenant === "high" ? "prepare/-" : "denoise/e1";
    await submit(store, [task(tenant, { domain: tenant, shape })], { tenant, priority });
  }
  await store.placeHold({ scope: "tenant", name: "held" }, note);
  const order: unknown[] = [];
  for (let index = 0; index < 4; index += 1) {
    order.push((await createWorker(store, { name: `w${index}`, shapes }).next()).claim?.parameters);
  }
  expect(order).toEqual(["high", "middle", "low", undefined].map((prompt) => prompt && { textEncode: { prompt } }));
});

test.each([
  ["hold", (store: Store) => store.placeHold({ scope: "tenant", name: "local" }, note)],
  ["cordon", (store: Store) => store.cordonWorker("w1", note)],
])("a %s is answered after the claims that began before it, and no later claim gets past it", async (_what, place) => {
  const { store, pool, sql } = world();
  await submit(store, [task("first"), task("second")]);
  const worker = createWorker(store);
  await worker.next({ freeSlots: 0 });
  const claiming = await pool.connect();
  await claiming.query("begin");
  const ask = JSON.stringify(worker.ask());
  await claiming.query("select vf_lock_pools(array[$1::jsonb])", [ask]);
  await claiming.query("select vf_claim(vf_no_effects(), $1, $2)", [ask, JSON.stringify(defaultOrder)]);
  const placing = place(store);
  await until(
    "it waits for the claim",
    async () => (await sql("select 1 from pg_locks where locktype = 'advisory' and not granted")).length === 1,
  );
  const asking = worker.next();
  await claiming.query("commit");
  claiming.release();
  await placing;
  expect((await asking).claim).toBeUndefined();
  expect(await sql("select 1 from attempt")).toHaveLength(1);
});

test("a cordoned worker gets nothing, keeps what it runs, and is not woken; others are", async () => {
  const { store } = world();
  await submit(store, diamond());
  const [first, second] = [createWorker(store), createWorker(store, { name: "w2" })];
  const claim = await first.claim();
  const change = await store.cordonWorker("w1", note);
  expect(change).toMatchObject({ pushes: [], worker: { state: "busy", cordon: { reason: "maintenance", placedBy: "ops" } } });
  expect(await levelOf(store, first, claim.attemptId)).toBe("wanted");
  await first.succeed(claim);
  expect((await first.next()).claim).toBeUndefined();
  expect(await store.idleWorkers("pool", "denoise/e1", 9)).toEqual([]);
  const other = await second.claim();
  await second.succeed(other);
  expect((await second.next()).claim).toBeDefined();
});

test("a cordon holds over a restart of its worker, and is known after the worker was pruned", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  await createWorker(store).next({ freeSlots: 0 });
  await store.cordonWorker("w1", note);
  const restarted = createWorker(store);
  expect((await restarted.next()).claim).toBeUndefined();
  await restarted.next({ leaving: true });
  await sql("update session set ended_at = now() - interval '30 days' where ended_at is not null");
  const held = await store.holdDuty("prune", "test", 60_000);
  await store.prune(held?.epoch ?? 0);
  expect(await store.getWorker(undefined, "w1")).toMatchObject({ state: "stopped", cordon: { reason: "maintenance" } });
});

test("what an uncordoned worker can run is told, so that it is woken; a second time nothing is", async () => {
  const { store } = world();
  await submit(store, [task("mine"), task("not mine", { shape: "denoise/e2" })]);
  await createWorker(store).next({ freeSlots: 0 });
  await store.cordonWorker("w1", note);
  const change = await store.uncordonWorker("w1");
  expect(change).toMatchObject({ worker: { cordon: undefined }, aftermath: { ready: [{ shape: "denoise/e1", count: 1 }] } });
  expect(change?.aftermath.ready).toHaveLength(1);
  expect((await store.uncordonWorker("w1"))?.aftermath.ready).toEqual([]);
  expect(await store.uncordonWorker("nobody")).toBeUndefined();
  expect(await store.cordonWorker("nobody", note)).toBeUndefined();
  expect(await store.drainWorker("nobody", note, 0)).toBeUndefined();
});

test("a drain without grace pushes at once; what is given back runs elsewhere, uncharged", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, [task("only")]);
  const [drained, other] = [createWorker(store), createWorker(store, { name: "w2" })];
  const claim = await drained.claim();
  await other.next();
  const [{ id } = { id: "" }] = await sql<{ id: string }>("select id from attempt");
  const change = await store.drainWorker("w1", note, 0);
  expect(change?.pushes).toEqual([{ workerId: "w1", attemptId: id, level: "drain" }]);
  expect(change?.worker.state).toBe("draining");
  expect(await levelOf(store, drained, claim.attemptId)).toBe("drain");
  expect(await drained.next({ freeSlots: 0 })).toMatchObject({ levels: [{ level: "drain" }] });
  const [report] = await drained.fail(claim, "STAGE_CANCELLED");
  expect(report).toMatchObject({ aftermath: { ready: [{ count: 1 }] } });
  expect(await store.idleWorkers("pool", "denoise/e1", 9)).toEqual(["w2"]);
  expect((await drained.next()).claim).toBeUndefined();
  expect(await store.getWorker(undefined, "w1")).toMatchObject({ state: "idle" });
  const again = await other.claim();
  expect(again).toMatchObject({ taskId: claim.taskId, attemptNumber: 2 });
  expect(await sql("select failures from task")).toEqual([{ failures: {} }]);
  await other.succeed(again);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("the level drain comes when the grace is over, and the last grace holds", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  expect(await store.drainWorker("w1", note, 60_000)).toMatchObject({ pushes: [], worker: { state: "draining" } });
  expect(await levelOf(store, worker, claim.attemptId)).toBe("wanted");
  await sql("update cordon set drain_at = drain_at - interval '61 s'");
  expect(await levelOf(store, worker, claim.attemptId)).toBe("drain");
  expect((await store.drainWorker("w1", note, undefined))?.worker).toMatchObject({ state: "draining", cordon: { drainAt: undefined } });
  expect(await levelOf(store, worker, claim.attemptId)).toBe("wanted");
  await store.drainWorker("w1", note, 0);
  expect((await store.cordonWorker("w1", note))?.worker.state).toBe("busy");
  expect(await levelOf(store, worker, claim.attemptId)).toBe("wanted");
});

test("what nobody wants is unwanted on a drained worker too, and is not pushed as drained", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await store.cancelJob("local", jobId);
  expect((await store.drainWorker("w1", note, 0))?.pushes).toEqual([]);
  expect(await levelOf(store, worker, claim.attemptId)).toBe("unwanted");
});

test("a task that avoids a worker runs on it when the only other one is cordoned", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const [first, second] = [createWorker(store), createWorker(store, { name: "w2" })];
  await second.next({ freeSlots: 0 });
  await first.fail(await first.claim(), "RUNTIME_DIED");
  await promote(world());
  expect((await first.next()).claim).toBeUndefined();
  await store.cordonWorker("w2", note);
  expect((await first.next()).claim).toBeDefined();
});

async function promote({ store, sql }: World): Promise<void> {
  await sql("update task set delayed_until = now() where state = 'delayed'");
  const held = await store.holdDuty("promotion", "test", 60_000);
  await store.promoteDelayed(held?.epoch ?? 0);
}

test("thousands of held tasks at the head of the order do not slow claims down", async () => {
  const { store, sql } = world();
  const held = Array.from({ length: 3 }, (_unused, part) =>
    Array.from({ length: 3_400 }, (_each, index) => task(`held ${part} ${index}`, { domain: "held" })),
  );
  for (const tasks of held) await submit(store, tasks, { tenant: "held", priority: 100 });
  await submit(
    store,
    Array.from({ length: 40 }, (_unused, index) => task(`free ${index}`, { domain: "free" })),
    { tenant: "free" },
  );
  await sql("analyze ready");
  await store.placeHold({ scope: "tenant", name: "held" }, note);
  expect((await createWorker(store).claim()).parameters).toEqual({ textEncode: { prompt: "free 0" } });
  const worker = JSON.stringify(description({ name: "w2", shapes: ["denoise/e1", "prepare/-"] }));
  const options = JSON.stringify({ ...defaultOrder, isAhead: false });
  const [row] = await sql<{ "QUERY PLAN": readonly [{ readonly Plan: Readonly<Record<string, number>> }] }>(
    `explain (analyze, buffers, format json) select vf_choose('${worker}', '${options}')`,
  );
  // Planning for the first time reads hundreds; looking at each held task reads 45,000.
  const plan = row?.["QUERY PLAN"][0].Plan;
  expect((plan?.["Shared Hit Blocks"] ?? Infinity) + (plan?.["Shared Read Blocks"] ?? 0)).toBeLessThan(5_000);
});
