import { describe, expect, test } from "vitest";
import { decideExpansion } from "../../../services/domain/expansion.ts";
import { explainWaiting } from "../../../services/domain/explain-window.ts";
import type { Aftermath, ManifestRender, Store, WaitingRender } from "../../../services/coordinator/store/store-contract.ts";
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import { useWorld } from "../../support/store-suite.ts";
import { batch, createWorker, job, plannedRender, sha256, submit, submitBatch, task, type Worker } from "../../support/store-world.ts";

const window = 4;
const world = useWorld({ limits: { openRenders: window } });

/** Renders of a shared clip and a denoise of their own, as their prompt says. */
function planOf({ spec, tenant }: Pick<WaitingRender, "spec" | "tenant">): readonly PlannedTask[] {
  const domain = tenant === "local" ? {} : { domain: tenant };
  return [task("clip", domain), task(spec.prompt, { ...domain, after: ["clip"], artifacts: ["mp4"] })];
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

const uploads = async (store: Store, names = ["image", "clip"], tenant = "local"): Promise<void> => {
  const rest = { tenant, sizeBytes: 1, mediaType: "image/png", kind: "image" as const, width: 1, height: 1, frames: 1 };
  for (const name of names) await store.commitUpload({ ...rest, sha256: sha256(name) });
};

async function submitManifest(prompts: readonly string[], overrides: Parameters<typeof batch>[1] = {}): Promise<string> {
  const { store } = world();
  await uploads(store, undefined, overrides.tenant);
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
  const done = again.length > 0 ? [await store.expandAgain(epoch, "local", again)] : [];
  for (const tenant of new Set(renders.map((render) => render.tenant))) {
    const fresh = renders.filter((render) => !render.isPlanned && render.tenant === tenant);
    const planned = fresh.map((render) => ({ render, tasks: planOf(render) }));
    if (fresh.length > 0) done.push(await store.expandRenders(epoch, { tenant, pool: "pool", renders: planned }));
  }
  return done;
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
  await submit(store, planOf({ spec: plannedRender([], { prompt: "render 0" }).render, tenant: "local" }));
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

describe("what may not start", () => {
  const theirs = { jobId: "theirs", tenant: "other" };
  const note = { by: "ops", reason: "" };
  const openOf = async (): Promise<unknown> =>
    world().sql("select job_id, count(*)::integer as open from render where state = 'queued' and not is_waiting group by 1 order by 1");
  const jobStop = "insert into job_stop (job_id, reason) values ('ours', 'spent')";
  const budgetHold = "insert into hold (scope, name, reason, placed_by, origin) values ('tenant', 'local', 'spent', 'budget', 'budget')";
  const noneRunning = "insert into tenant_limit (tenant_id, max_running) values ('local', 0)";
  const cases = [
    ["a tenant that a person holds", () => world().store.placeHold({ scope: "tenant", name: "local" }, note), "delete from hold"],
    ["a tenant that its budget holds", () => world().sql(budgetHold), "delete from hold"],
    ["a tenant that may run nothing", () => world().sql(noneRunning), "delete from tenant_limit"],
    ["a stopped job", () => world().sql(jobStop), "delete from job_stop"],
  ] as const;

  test.each(cases)("%s takes no place in the window while it waits, and goes on after", async (_, shut, release) => {
    const { store, sql } = world();
    await uploads(store);
    await submitManifest(prompts(9), { jobId: "ours" });
    await shut();
    await submitManifest(["theirs 0", "theirs 1"], theirs);
    await expand(store);
    expect(await openOf()).toEqual([{ job_id: "theirs", open: 2 }]);
    expect(await finish(createWorker(store))).toBe(3);
    await sql(release);
    await expand(store);
    expect(await openOf()).toEqual([{ job_id: "ours", open: 4 }]);
  });

  test.each(cases)("%s leaves the window that it filled before to others", async (what, shut, release) => {
    const { store, sql } = world();
    await submitManifest(prompts(9), { jobId: "ours" });
    await expand(store);
    await shut();
    await submitManifest(["theirs 0", "theirs 1"], theirs);
    await expand(store);
    expect(await openOf()).toEqual([
      { job_id: "ours", open: 4 },
      { job_id: "theirs", open: 2 },
    ]);
    expect(await store.submitJob(job([task("small", { domain: "third" })], { tenant: "third" }))).toMatchObject({ isWaiting: false });
    expect(await store.submitJob(job([task("small")]))).toMatchObject({ isWaiting: what !== "a stopped job" });
    await sql(release);
    await expand(store);
    expect(await sql("select 1 from render where job_id = 'ours' and not is_waiting")).toHaveLength(4);
  });

  test("what has begun of those that are held takes no more room than one more window", async () => {
    const { store, sql } = world();
    const begin = "update render set state = 'running' where state = 'queued' and not is_waiting";
    const begun = async (tenant: string): Promise<void> => {
      await submitManifest(prompts(9), { jobId: `of ${tenant}`, tenant });
      await expand(store);
      await sql(begin);
      await store.placeHold({ scope: "tenant", name: tenant }, note);
    };
    await begun("first");
    await begun("second");
    expect(await sql("select 1 from render where state = 'running'")).toHaveLength(8);
    expect(await store.submitJob(job([task("small")], { jobId: "a small one" }))).toMatchObject({ isWaiting: true });
    await submitManifest(["theirs 0"], theirs);
    await expand(store);
    expect(await openOf()).toEqual([]);
    await sql("update render set state = 'queued' where job_id = 'of second' and state = 'running'");
    await expand(store);
    expect(await openOf()).toEqual([
      { job_id: "a small one", open: 1 },
      { job_id: "of second", open: 4 },
      { job_id: "theirs", open: 1 },
    ]);
  });

  test.each([
    ["farm", ""],
    ["pool", "pool"],
  ] as const)("renders wait while the %s is held", async (scope, name) => {
    const { store } = world();
    await submitManifest(prompts(2), { jobId: "ours" });
    await store.placeHold({ scope, name }, note);
    await expand(store);
    expect(await openOf()).toEqual([]);
    await store.releaseHold({ scope, name });
    await expand(store);
    expect(await openOf()).toEqual([{ job_id: "ours", open: 2 }]);
  });

  test("a retry of a stopped job waits", async () => {
    const { store, sql } = world();
    await submit(store, [task("one")], { jobId: "ours" });
    await store.cancelJob("local", "ours");
    await sql(jobStop);
    expect(await store.retryJob("local", "ours")).toMatchObject({ kind: "retried", aftermath: { hasWaiting: true } });
  });

  const kinds = ["held", "over_budget", "tenant_limit", "over_budget"];
  test.each(cases)("what waits of %s is explained by that", async (what, shut, release) => {
    const kind = kinds[cases.findIndex(([name]) => name === what)];
    const { store, sql } = world();
    await submitManifest(prompts(9), { jobId: "ours" });
    await expand(store);
    await shut();
    const explain = async () => {
      const facts = await store.explainFacts("local", "ours", 5);
      return (facts?.waiting ?? []).map((waits) => ({ ...waits, ...explainWaiting(waits, facts ?? { holds: [], limits: [] }) }));
    };
    expect(await explain()).toMatchObject([{ kind, pool: "pool", tenant: "local", renders: 1, open: 0, window }]);
    await sql(release);
    expect(await explain()).toMatchObject([{ kind: "window", open: 4 }]);
  });
});
