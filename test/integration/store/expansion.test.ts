import { expect, test } from "vitest";
import { decideExpansion } from "../../../services/domain/expansion.ts";
import type { Aftermath, ManifestRender, Store, WaitingRender } from "../../../services/coordinator/store/store-contract.ts";
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import { useWorld } from "../../support/store-suite.ts";
import { batch, createWorker, job, plannedRender, sha256, submit, submitBatch, task, type Worker } from "../../support/store-world.ts";

const window = 4;
const world = useWorld({ limits: { openRenders: window } });

/** Renders of a shared clip and a denoise of their own, as their prompt says. */
function planOf({ spec }: Pick<WaitingRender, "spec">): readonly PlannedTask[] {
  return [task("clip"), task(spec.prompt, { after: ["clip"], artifacts: ["mp4"] })];
}

function manifestOf(prompts: readonly string[], overrides: Parameters<typeof batch>[1] = {}) {
  const rest = batch([[]], overrides);
  const rows = prompts.map((prompt): ManifestRender => {
    const { render } = plannedRender([], { prompt });
    return { render, modelWeights: "random", fps: 16, modelDigest: sha256("model"), pool: "pool" };
  });
  return { ...rest, renderTotal: rows.length, parts: () => partsOf(rows) };
}

// eslint-disable-next-line @typescript-eslint/require-await -- parts come from a file elsewhere
async function* partsOf(rows: readonly ManifestRender[]) {
  for (let first = 0; first < rows.length; first += 3) yield rows.slice(first, first + 3);
}

const uploads = async (store: Store, names = ["image", "clip"]): Promise<void> => {
  const rest = { tenant: "local", sizeBytes: 1, mediaType: "image/png", kind: "image" as const, width: 1, height: 1, frames: 1 };
  for (const name of names) await store.commitUpload({ ...rest, sha256: sha256(name) });
};

async function submitManifest(prompts: readonly string[], overrides: Parameters<typeof batch>[1] = {}): Promise<string> {
  const { store } = world();
  await uploads(store);
  const outcome = await store.submitManifest(manifestOf(prompts, overrides));
  if (outcome.kind !== "stored") throw new TypeError(`not stored: ${outcome.kind}`);
  return outcome.job.jobId;
}

/** One decision of the duty, carried out. */
async function expand(store: Store, holder = "test"): Promise<readonly Aftermath[]> {
  const { epoch } = (await store.holdDuty("expand", holder, 60_000)) ?? { epoch: 0 };
  const { pools } = await store.expansionFacts();
  const renders = await store.waitingRenders(decideExpansion(pools, window, 100));
  const again = renders.filter(({ isPlanned }) => isPlanned);
  const fresh = renders.filter(({ isPlanned }) => !isPlanned).map((render) => ({ render, tasks: planOf(render) }));
  return [
    ...(again.length > 0 ? [await store.expandAgain(epoch, "local", again)] : []),
    ...(fresh.length > 0 ? [await store.expandRenders(epoch, { tenant: "local", pool: "pool", renders: fresh })] : []),
  ];
}

async function finish(worker: Worker, most = 100): Promise<number> {
  for (let done = 0; done < most; done += 1) {
    const { claim } = await worker.next();
    if (claim === undefined) return done;
    await worker.succeed(claim);
  }
  return most;
}

const waiting = async (): Promise<unknown> => world().sql("select job_id, pool, renders from waiting order by job_id");
const prompts = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `render ${index}`);

test("the renders of a manifest are rows without tasks, and are listed, counted and explained", async () => {
  const { store, sql } = world();
  const jobId = await submitManifest(prompts(7));
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "queued", renderCounts: { total: 7, queued: 7 } });
  expect(await sql("select 1 from task")).toEqual([]);
  expect(await waiting()).toEqual([{ job_id: jobId, pool: "pool", renders: 7 }]);
  const listed = await store.listRenders({ scope: "local", jobId, states: ["queued"], afterPosition: 4, limit: 9 });
  expect(listed?.map(({ position, spec }) => [position, spec.prompt])).toEqual([
    [5, "render 5"],
    [6, "render 6"],
  ]);
  expect(await store.getRender("local", jobId, 3)).toMatchObject({ state: "queued", tasks: [] });
  expect(await store.explainFacts("local", jobId, undefined)).toMatchObject({ waiting: [{ pool: "pool", renders: 7, open: 0, window }] });
  expect(await store.updateJob("local", jobId, { priority: 5 })).toMatchObject({ kind: "updated", job: { priority: 5 } });
  expect((await store.listEvents(jobId, 0, 9)).map(({ kind }) => kind)).toEqual(["job.submitted", "job.updated"]);
});

test("a window of renders is open until the job has succeeded, and what they share is computed once", async () => {
  const { store, sql } = world();
  const jobId = await submitManifest(prompts(9));
  const worker = createWorker(store);
  for (let round = 0; (await store.getJob("local", jobId))?.state !== "succeeded"; round += 1) {
    expect(round).toBeLessThan(9);
    await expand(store);
    const open = await sql("select 1 from render where state in ('queued', 'running') and not is_waiting");
    expect(open.length).toBeLessThanOrEqual(window);
    await finish(worker, 3);
  }
  expect(await waiting()).toEqual([]);
  expect(await sql("select count(*)::integer as count from task where content_key = $1", [sha256("clip")])).toEqual([{ count: 1 }]);
  expect(await sql("select count(*)::integer as count from attempt")).toEqual([{ count: 10 }]);
  expect((await store.getRender("local", jobId, 8))?.artifacts.map(({ name }) => name)).toEqual(["mp4"]);
});

test("a render whose tasks have all succeeded has succeeded when it is expanded", async () => {
  const { store } = world();
  await uploads(store);
  await submit(store, planOf({ spec: plannedRender([], { prompt: "render 0" }).render }));
  await finish(createWorker(store));
  const jobId = await submitManifest(prompts(1));
  await expand(store);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("a submit that fits is expanded at once, one that does not waits for its turn", async () => {
  const { store, sql } = world();
  const plan = (index: number) => [task(`own ${index}`)];
  const first = await store.submitJob(batch([plan(0), plan(1), plan(2)]));
  const second = await store.submitJob(batch([plan(3), plan(4)]));
  expect([first, second]).toMatchObject([{ isWaiting: false }, { isWaiting: true, ready: [] }]);
  const behind = await store.submitJob(job(plan(5)));
  const better = await store.submitJob(job(plan(6), { priority: 1 }));
  const other = await store.submitJob(job([task("theirs")], { tenant: "other" }));
  expect([behind, better, other]).toMatchObject([{ isWaiting: true }, { isWaiting: false }, { isWaiting: true }]);
  expect(await sql("select 1 from ready")).toHaveLength(4);
});

test("waiting renders are cancelled one by one and together, however many statements that takes", async () => {
  const { store, sql } = world();
  const jobId = await submitManifest(prompts(6));
  await expand(store);
  expect(await store.cancelJob("local", jobId, 5)).toMatchObject({ job: { renderCounts: { queued: 5, cancelled: 1 } } });
  const cancel = "select (vf_cancel('local', $1, null, 1) ->> 'left')::boolean as left";
  expect(await sql(cancel, [jobId])).toEqual([{ left: true }]);
  expect(await waiting()).toEqual([]);
  expect(await store.cancelJob("local", jobId)).toMatchObject({ job: { state: "cancelled", renderCounts: { cancelled: 6 } } });
  expect(await sql("select state from task")).toEqual(Array.from({ length: 5 }, () => ({ state: "cancelled" })));
  const kinds = (await store.listEvents(jobId, 0, 20)).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "render.cancelled")).toHaveLength(6);
});

test("what was cancelled before and after it was expanded runs again, within the window", async () => {
  const { store } = world();
  const jobId = await submitManifest(prompts(6));
  await expand(store);
  await store.cancelJob("local", jobId);
  expect(await store.retryJob("local", jobId)).toMatchObject({ kind: "retried", renders: 6, aftermath: { hasWaiting: true } });
  expect(await waiting()).toEqual([{ job_id: jobId, pool: "pool", renders: 6 }]);
  const worker = createWorker(store);
  for (let round = 0; round < 6; round += 1) {
    await expand(store);
    await finish(worker);
  }
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded", renderCounts: { succeeded: 6 } });
});

test("a render whose upload is gone fails for that, and no other does", async () => {
  const { store, sql } = world();
  await uploads(store);
  const jobId = await submitManifest(prompts(2));
  await sql("update render set spec = jsonb_set(spec, '{image,sha256}', to_jsonb($1::text)) where position = 1", [sha256("other")]);
  await uploads(store, ["other"]);
  await sql("update artifact set is_stored = false where sha256 = $1", [sha256("other")]);
  const { epoch } = (await store.holdDuty("expand", "test", 60_000)) ?? { epoch: 0 };
  const renders = await store.waitingRenders([{ jobId, pool: "pool", renders: 2 }]);
  const planned = renders.map((render) => ({ render, tasks: [task(render.spec.prompt, { uploads: [render.spec.image.sha256] })] }));
  await store.expandRenders(epoch, { tenant: "local", pool: "pool", renders: planned });
  expect(await store.getRender("local", jobId, 1)).toMatchObject({ state: "failed", failure: { code: "MEDIA_UNKNOWN" } });
  expect(await store.getRender("local", jobId, 0)).toMatchObject({ state: "queued", tasks: [{ state: "ready" }] });
});

test("renders that were cancelled while they were planned get no tasks, and an epoch that is over expands nothing", async () => {
  const { store, sql } = world();
  const jobId = await submitManifest(prompts(2));
  const { epoch } = (await store.holdDuty("expand", "test", 60_000)) ?? { epoch: 0 };
  const renders = (await store.waitingRenders([{ jobId, pool: "pool", renders: 2 }])).map((render) => ({ render, tasks: planOf(render) }));
  await store.expandRenders(epoch + 1, { tenant: "local", pool: "pool", renders });
  expect(await sql("select 1 from task")).toEqual([]);
  await store.cancelJob("local", jobId, 1);
  await store.expandRenders(epoch, { tenant: "local", pool: "pool", renders });
  expect(await store.getRender("local", jobId, 1)).toMatchObject({ state: "cancelled", tasks: [] });
  expect(await sql("select state from task where content_key = $1", [sha256("render 1")])).toEqual([{ state: "cancelled" }]);
  const sweep = (await store.holdDuty("sweep", "test", 60_000))?.epoch ?? 0;
  expect((await store.sweep(sweep)).repaired).toBe(0);
});

test("a wrong count of what waits is found and repaired", async () => {
  const { store, sql } = world();
  const jobId = await submitManifest(prompts(3));
  await sql("update waiting set renders = 7");
  const sweep = (await store.holdDuty("sweep", "test", 60_000))?.epoch ?? 0;
  expect((await store.sweep(sweep)).repaired).toBe(1);
  expect(await waiting()).toEqual([{ job_id: jobId, pool: "pool", renders: 3 }]);
});

test("a manifest that lacks an upload stores nothing and names the rows; its key makes one job", async () => {
  const { store, sql } = world();
  await uploads(store, ["image"]);
  const refused = await store.submitManifest(manifestOf(prompts(2), { idempotencyKey: "key" }));
  expect(refused).toMatchObject({ kind: "invalid", missing: [{ position: 0, violation: { field: "references[0]" } }, { position: 1 }] });
  expect(await sql("select (select count(*) from job)::integer + (select count(*) from render)::integer as rows")).toEqual([{ rows: 0 }]);
  await uploads(store);
  const outcomes = await Promise.all([1, 2, 3].map(() => store.submitManifest(manifestOf(prompts(2), { idempotencyKey: "key" }))));
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["repeated", "repeated", "stored"]);
  expect(await sql("select 1 from render")).toHaveLength(2);
});

test("more than the limits allow is refused before anything is stored", async () => {
  const { openAnother } = world();
  const limits = { openRenders: 2, waitingRendersOfTenant: 5, waitingRenders: 8, openJobsOfTenant: 3 };
  const store = await openAnother({ limits });
  await uploads(store);
  expect(await store.submitManifest(manifestOf(prompts(6)))).toMatchObject({ kind: "full", most: 5 });
  expect(await store.submitManifest(manifestOf(prompts(5)))).toMatchObject({ kind: "stored" });
  expect(await store.submitJob(job([task("one")]))).toEqual({ kind: "full", what: "waiting renders of the tenant", most: 5 });
  expect(await submitBatch(store, [[task("a")], [task("b")], [task("c")]], { tenant: "other" })).toBeDefined();
  expect(await store.submitJob(job([task("one")], { tenant: "third" }))).toMatchObject({ kind: "full", what: "waiting renders" });
  const jobs = await openAnother({ limits: { ...limits, waitingRendersOfTenant: 99, waitingRenders: 99 } });
  for (const name of ["x", "y"]) await submit(jobs, [task(name)], { tenant: "other" });
  expect(await jobs.submitJob(job([task("z")], { tenant: "other" }))).toMatchObject({
    kind: "full",
    what: "open jobs of the tenant",
    most: 3,
  });
});
