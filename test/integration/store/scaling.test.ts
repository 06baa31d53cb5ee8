import { expect, test } from "vitest";
import type { ScaleChange, ScalingFacts } from "../../../services/coordinator/store/store-contract.ts";
import { epochOf, reapAll } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";
import { batch, createWorker, diamond, submit, submitBatch, task, type Worker, type WorkerOptions } from "../../support/store-world.ts";

const world = useWorld();
const note = { by: "ops", reason: "" };
const limits = { mostTasks: 1_000, unknownTaskMs: 7_000 };

async function facts(most: Partial<typeof limits> = {}): Promise<ScalingFacts> {
  const [found] = await world().store.scalingFacts(["pool"], { ...limits, ...most });
  if (found === undefined) throw new TypeError("no facts");
  return found;
}
const tenants = async (most: Partial<typeof limits> = {}) => (await facts(most)).work.tenants;

async function live(name: string, options: WorkerOptions = {}): Promise<Worker> {
  const worker = createWorker(world().store, { name, ...options });
  await worker.next({ freeSlots: 0 });
  return worker;
}

const local = (names: readonly string[], shape = "denoise/e1") =>
  submit(
    world().store,
    names.map((name) => task(name, { shape })),
  );

const change = (given: Partial<ScaleChange> = {}): ScaleChange => ({
  pool: "pool",
  desired: 3,
  asked: 2,
  serving: 1,
  starting: 1,
  backlogMs: 5,
  loadMs: 6,
  reason: "why",
  memory: { sinceMs: 1, atMs: 2, busy: 0.5, needs: [], workAtMs: undefined, probedAtMs: undefined },
  cordon: [],
  uncordon: [],
  ...given,
});

test("work that is admitted counts with what it is expected to take: ready, blocked, and what runs has left", async () => {
  const { sql } = world();
  await local(["warm-up"]);
  const worker = await live("w1");
  await worker.succeed(await worker.claim());
  await sql("update attempt set compute_ms = 10000 where state = 'succeeded'");
  await submit(world().store, diamond());
  expect(await tenants()).toEqual([{ ready: 2, running: 0, waitingRenders: 0, workMs: 40_000, maxRunning: undefined }]);
  const claim = await worker.claim();
  await worker.beat(claim, 4, { deviceMs: 4_000 });
  expect(await tenants()).toMatchObject([{ ready: 1, running: 1, workMs: 36_000 }]);
});

test("a shape that nothing is known of counts with what is set for that", async () => {
  await local(["a", "b"]);
  expect(await tenants()).toMatchObject([{ ready: 2, workMs: 14_000 }]);
});

test("renders of a large job count before they have tasks, each with what the open ones take", async () => {
  const small = await world().openAnother({ limits: { openRenders: 1 } });
  const plans = Array.from({ length: 5 }, (_, index) => diamond(String(index)));
  expect((await small.submitJob(batch([plans[0] ?? []]))).kind).toBe("stored");
  expect((await small.submitJob(batch(plans.slice(1)))).kind).toBe("stored");
  expect(await tenants()).toMatchObject([{ ready: 2, waitingRenders: 4, workMs: 4 * 7_000 + 4 * 4 * 7_000 }]);
});

test("what is held, stopped or of a tenant that may run nothing counts not at all", async () => {
  const { store, sql } = world();
  await local(["a"]);
  await submit(store, [task("b", { domain: "other" })], { tenant: "other" });
  await store.placeHold({ scope: "tenant", name: "other" }, note);
  expect(await tenants()).toMatchObject([{ ready: 1 }]);
  await store.placeHold({ scope: "pool", name: "pool" }, note);
  expect(await tenants()).toEqual([]);
  await store.releaseHold({ scope: "pool", name: "pool" });
  await store.placeHold({ scope: "farm", name: "" }, note);
  expect(await tenants()).toEqual([]);
  await store.releaseHold({ scope: "farm", name: "" });
  await store.setTenantLimit("local", { weight: 1, maxRunning: 0, maxWaiting: undefined });
  expect(await tenants()).toEqual([]);
  await store.setTenantLimit("local", { weight: 1, maxRunning: 5, maxWaiting: undefined });
  expect(await tenants()).toMatchObject([{ ready: 1, maxRunning: 5 }]);
  await sql("insert into hold (scope, name, reason, placed_by, origin) values ('tenant', 'local', '', 'budget', 'budget')");
  expect(await tenants()).toEqual([]);
});

test("a job that its budget stopped asks for no worker, whether it has tasks or waits", async () => {
  const { sql } = world();
  const small = await world().openAnother({ limits: { openRenders: 1 } });
  const first = await submitBatch(small, [[task("a")]]);
  const second = await submitBatch(small, [[task("b")], [task("c")]]);
  expect(await tenants()).toMatchObject([{ ready: 1, waitingRenders: 2 }]);
  await sql("insert into job_stop (job_id, reason) values ($1, 'spent'), ($2, 'spent')", [first, second]);
  await sql("delete from ready");
  expect(await tenants()).toEqual([]);
});

test("what of a stopped job cannot start yet asks for no worker either", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, diamond());
  await local(["other"]);
  expect(await tenants()).toMatchObject([{ ready: 3, workMs: 5 * 7_000 }]);
  await sql("select vf_stop_jobs(jsonb_build_array(jsonb_build_object('jobId', $1::text, 'reason', 'spent')))", [jobId]);
  expect(await tenants()).toMatchObject([{ ready: 1, workMs: 7_000 }]);
});

test("what a held tenant still runs keeps its worker", async () => {
  await local(["a"]);
  const worker = await live("w1");
  await worker.claim();
  await world().store.placeHold({ scope: "tenant", name: "local" }, note);
  expect(await tenants()).toMatchObject([{ ready: 0, running: 1 }]);
});

test("work that no worker could run asks for nobody, unless none is known", async () => {
  await local(["a", "b"], "denoise/other");
  expect((await facts()).work).toMatchObject({ unrunnable: 0, tenants: [{ ready: 2 }] });
  const worker = await live("w1");
  expect((await facts()).work).toMatchObject({ unrunnable: 2, tenants: [] });
  await worker.next({ leaving: true });
  expect((await facts()).work).toMatchObject({ unrunnable: 2 });
  await live("w2", { shapes: ["denoise/other"] });
  expect((await facts()).work).toMatchObject({ unrunnable: 0, tenants: [{ ready: 2 }] });
});

test("more memory than any worker has makes work unrunnable, an engine in quarantine does not", async () => {
  const { store, sql } = world();
  await local(["a"]);
  await live("w1", { memoryBytes: 2 ** 30 });
  await store.learnShapes({ "denoise/e1": 2 ** 40 });
  await local(["b"]);
  expect((await facts()).work).toMatchObject({ unrunnable: 1, tenants: [{ ready: 1 }] });
  await sql("delete from ready where memory_bytes > 0");
  await sql("update worker set shapes = '{}'");
  expect((await facts()).work).toMatchObject({ unrunnable: 1 });
  await sql(`insert into quarantine values ('w1', 'denoise/e1', 1, now(), now() + interval '1 h', 'c', 'm', '0', 'p')`);
  expect((await facts()).work).toMatchObject({ unrunnable: 0 });
});

test("no more ready tasks are counted than asked for, and that is told", async () => {
  await local(Array.from({ length: 9 }, (_, index) => `t${index}`));
  expect((await facts({ mostTasks: 9 })).work).toMatchObject({ isMore: true, tenants: [{ ready: 9 }] });
  expect((await facts({ mostTasks: 4 })).work).toMatchObject({ isMore: true, tenants: [{ ready: 4 }] });
  expect((await facts({ mostTasks: 10 })).work).toMatchObject({ isMore: false });
});

test("live workers are told with who set them aside and what they would lose, and how long their start took", async () => {
  const { store, sql } = world();
  await local(["a"]);
  const busy = createWorker(store, { name: "busy" });
  const claim = await busy.claim();
  await busy.beat(claim, 4, { deviceMs: 4_000 });
  await live("aside");
  await store.cordonWorker("aside", note);
  await live("leaving");
  await store.drainWorker("leaving", note, undefined);
  const gone = await live("gone");
  await gone.next({ leaving: true });
  const starter = createWorker(store, { name: "starter" });
  const ask = starter.ask({ freeSlots: 0 });
  await store.next([{ ...ask, worker: { ...ask.worker, startupMs: 61_000 } }]);
  const { workers, startupsMs } = await facts();
  expect(startupsMs).toEqual([61_000]);
  expect(workers.map(({ name, cordon, running }) => [name, cordon, running])).toEqual([
    ["aside", "operator", 0],
    ["busy", "none", 1],
    ["leaving", "drained", 0],
    ["starter", "none", 0],
  ]);
  expect(workers[1]).toMatchObject({ lossMs: 4_000, leftMs: 3_000 });
  await busy.checkpoint(claim, 10);
  await sql("update task_checkpoint set kept_at = now() - interval '1 s'");
  expect((await facts()).workers[1]?.lossMs).toBeLessThan(4_000);
});

test("a worker whose lease ran out is told as silent until its session ends, and whether beats arrive at all", async () => {
  const { sql } = world();
  await local(["a"]);
  const worker = await live("w1");
  await worker.claim();
  expect(await facts()).toMatchObject({ isHeard: true, workers: [{ isSilent: false }] });
  await sql("update session set lease_until = now() - interval '1 s'");
  await sql("insert into canary (last_at, unbroken_since) values (now() - interval '20 s', now() - interval '1 h')");
  expect(await facts()).toMatchObject({ isHeard: false, workers: [{ name: "w1", isSilent: true, running: 1 }] });
  await sql("update canary set last_at = now()");
  expect((await facts()).isHeard).toBe(true);
  await reapAll(world());
  expect((await facts()).workers).toEqual([]);
});

test("a decision is kept with what the next one needs, sets workers aside, and gives them work again", async () => {
  const { store } = world();
  const epoch = await epochOf(world(), "scaling");
  await local(["a"]);
  const worker = await live("w1");
  expect(await store.applyScale(epoch, change({ cordon: ["w1", "unknown"] }))).toBeDefined();
  expect((await worker.next()).claim).toBeUndefined();
  expect(await facts()).toMatchObject({ memory: { sinceMs: 1, busy: 0.5 }, workers: [{ cordon: "scaling" }] });
  expect(await store.scaleRecords()).toEqual([
    { pool: "pool", desired: 3, asked: 2, serving: 1, starting: 1, backlogMs: 5, loadMs: 6, reason: "why" },
  ]);
  const freed = await store.applyScale(epoch, change({ uncordon: ["w1"] }));
  expect(freed?.ready).toEqual([{ pool: "pool", shape: "denoise/e1", count: 1 }]);
  expect((await worker.next()).claim).toBeDefined();
});

test("a person's cordon is never lifted, and takes over what scaling had set aside", async () => {
  const { store } = world();
  const epoch = await epochOf(world(), "scaling");
  await live("w1");
  await store.applyScale(epoch, change({ cordon: ["w1"] }));
  await store.cordonWorker("w1", note);
  await store.applyScale(epoch, change({ uncordon: ["w1"] }));
  expect((await store.getWorker(undefined, "w1"))?.cordon).toMatchObject({ placedBy: "ops" });
  expect((await facts()).workers).toMatchObject([{ cordon: "operator" }]);
});

test("cordons of workers that are gone go with them, but for a person's", async () => {
  const { store, sql } = world();
  const epoch = await epochOf(world(), "scaling");
  const [first, second] = [await live("w1"), await live("w2")];
  await store.cordonWorker("w2", note);
  await store.applyScale(epoch, change({ cordon: ["w1"] }));
  await first.next({ leaving: true });
  await second.next({ leaving: true });
  await store.applyScale(epoch, change());
  expect(await sql("select worker_id from cordon")).toEqual([{ worker_id: "w2" }]);
});

test("what was decided of a job's pools is told when its waiting is explained", async () => {
  const { store } = world();
  const jobId = await local(["a"]);
  await store.applyScale(await epochOf(world(), "scaling"), change());
  const told = { pool: "pool", desired: 3, loadMs: 6, reason: "why" };
  expect((await store.explainFacts(undefined, jobId, undefined))?.scaled).toEqual([told]);
});

test("nothing is decided under an epoch that is over", async () => {
  const { store, sql } = world();
  await live("w1");
  expect(await store.applyScale(7, change({ cordon: ["w1"] }))).toBeUndefined();
  expect(await sql("select * from cordon")).toEqual([]);
  expect(await store.scaleRecords()).toEqual([]);
});
