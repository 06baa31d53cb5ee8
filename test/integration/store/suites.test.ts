import { expect, test } from "vitest";
import { createSetScores } from "../../../services/coordinator/duties/set-scores.ts";
import type { JobToStore, ManifestRender, RunToStore, Store, SuiteToStore } from "../../../services/coordinator/store/store-contract.ts";
import type { RenderSpec } from "../../../services/domain/render-spec.ts";
import type { SuiteRow } from "../../../services/domain/suite-rules.ts";
import { useWorld } from "../../support/store-suite.ts";
import { job, plannedRender, sha256 } from "../../support/store-world.ts";

const dayMs = 24 * 3600 * 1000;
const world = useWorld({ retention: { keepJobsMs: dayMs, keepUploadsMs: dayMs, keepUnusedTasksMs: 0, keepIntermediatesMs: 0, longestUploadMs: 0 }, leaseMs: 0 }); // prettier-ignore

async function commitClip(name: string, tenant = "local"): Promise<string> {
  await world().store.commitUpload({
    ...{ tenant, sha256: sha256(name), sizeBytes: 1, mediaType: "video/mp4", kind: "video", width: 1, height: 1, frames: 9 },
  });
  return sha256(name);
}

const row = (position: number, target: string, reference: string): SuiteRow => ({
  position,
  line: position + 2,
  targetSha256: target,
  referenceSha256s: [reference],
  caption: `cat ${position}`,
  referenceCaptions: ["dog"],
  kind: "",
  seed: 2n ** 63n - 1n,
  targetPath: "a.mp4",
  referencePaths: ["b.mp4"],
});

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* partsOf<T>(parts: readonly (readonly T[])[]): AsyncGenerator<readonly T[]> {
  yield* parts;
}

const suiteOf = (rows: readonly SuiteRow[], change: Partial<SuiteToStore> = {}): SuiteToStore => ({
  tenant: "local",
  suiteId: sha256("suite"),
  name: "suite",
  rowCount: rows.length,
  kinds: [{ kind: "", rows: rows.length }],
  parts: () => partsOf([rows.slice(0, 1), rows.slice(1)]),
  ...change,
});

const run = (change: Partial<RunToStore> = {}): RunToStore => ({
  suiteId: sha256("suite"),
  label: "run",
  model: "demo",
  modelDigest: sha256("model"),
  hasTrainedWeights: false,
  metricsModel: "",
  hasTrainedMetrics: false,
  metrics: [],
  seeds: 1,
  panels: false,
  steps: 2,
  guidanceScale: 6,
  settingsDigest: sha256("settings"),
  rows: [0],
  ...change,
});

const newJob = (): JobToStore => {
  const { jobId, bodyDigest } = job([]);
  const plain = { tenant: "local", idempotencyKey: undefined, jobClass: "benchmark", priority: 0, deadline: undefined } as const;
  return { ...plain, jobId, bodyDigest, reuse: "inputs", webhook: undefined };
};

function waitingRender(spec: Partial<RenderSpec>): ManifestRender {
  const { render, modelWeights, fps } = plannedRender([], spec);
  return { render, modelWeights, fps, modelDigest: sha256("model"), pool: "pool" };
}

/** A job of one render of the clips, as a run. */
async function submitRun(store: Store, [target, reference]: readonly [string, string], change: Partial<RunToStore> = {}) {
  const render = waitingRender({ image: { sha256: target }, references: [{ sha256: reference }] });
  const outcome = await store.submitManifest({ ...newJob(), renderTotal: 1, parts: () => partsOf([[render]]), run: run(change) });
  if (outcome.kind !== "stored") throw new TypeError(`not stored: ${outcome.kind}`);
  return outcome.job.jobId;
}

/** Two days later. */
async function age(): Promise<void> {
  await world().sql("update job set ended_at = ended_at - interval '2 days', sent_event = last_event where ended_at is not null");
  await world().sql("update upload set created_at = created_at - interval '2 days'");
}

async function prune(store: Store): Promise<void> {
  const { epoch } = (await store.holdDuty("prune", "test", 60_000)) ?? { epoch: 0 };
  for (let rows = 1; rows > 0;) rows = await store.prune(epoch);
}

const count = async (what: string): Promise<number> => (await world().sql(`select 1 from ${what}`)).length;

test("a suite's clips stay as long as it does, and go when it has gone", async () => {
  const { store, sql } = world();
  const [target, reference] = [await commitClip("target"), await commitClip("reference")];
  await commitClip("other");
  expect((await store.importSuite(suiteOf([row(0, target, reference), row(1, target, target)]))).kind).toBe("stored");
  await age();
  await prune(store);
  expect((await store.findUploads("local", [target, reference, sha256("other")])).map(({ sha256: hash }) => hash).sort()).toEqual(
    [target, reference].sort(),
  );
  const { epoch } = (await store.holdDuty("collection", "test", 60_000)) ?? { epoch: 0 };
  await store.condemnArtifacts(epoch);
  expect(await store.condemnArtifacts(epoch)).toEqual([sha256("other")]);
  await sql("delete from suite");
  await prune(store);
  expect([await count("suite_row"), await count("suite_upload"), await count("upload")]).toEqual([0, 0, 0]);
});

test("a suite of which a clip is missing is not stored, and its rows are blamed", async () => {
  const { store } = world();
  const target = await commitClip("target");
  await commitClip("foreign", "another");
  const rows = [row(0, target, target), row(1, target, sha256("foreign")), row(2, sha256("gone"), target)];
  expect(await store.importSuite(suiteOf(rows))).toEqual({
    kind: "invalid",
    missing: [
      { position: 1, line: 3, field: "reference_sha256s[0]", sha256: sha256("foreign") },
      { position: 2, line: 4, field: "target_sha256", sha256: sha256("gone") },
    ],
  });
  expect([await count("suite"), await count("suite_row"), await count("suite_upload")]).toEqual([0, 0, 0]);
});

test("a suite whose clip is condemned keeps it", async () => {
  const { store, sql } = world();
  const target = await commitClip("target");
  await sql("update artifact set condemned_at = now()");
  await store.importSuite(suiteOf([row(0, target, target)]));
  expect(await sql("select condemned_at from artifact")).toEqual([{ condemned_at: null }]);
});

test("a run stays although jobs of its age go, and goes with its job alone; its suite cannot go before", async () => {
  const { store, sql } = world();
  const [target, reference] = [await commitClip("target"), await commitClip("reference")];
  await store.importSuite(suiteOf([row(0, target, reference)]));
  const jobId = await submitRun(store, [target, reference], { seeds: 1, metrics: ["clip_score"] });
  await expect(sql("delete from suite")).rejects.toThrow("bench_run");
  await store.cancelJob("local", jobId);
  const endedAt = (await store.findRuns("local", jobId, 1))[0]?.endedAt ?? new Date(0);
  await store.storeSetScores({ runId: jobId, endedAt }, [
    { metric: "clip_score", aggregator: "video_mean", value: 0.5, count: 1, missingCount: 0 },
  ]);
  await store.storeSetScores({ runId: jobId, endedAt }, [
    { metric: "clip_score", aggregator: "video_mean", value: undefined, count: 0, missingCount: 1 },
  ]);
  expect(await sql("select value, count, missing_count from set_score")).toEqual([{ value: null, count: 0, missing_count: 1 }]);
  await age();
  await prune(store);
  expect(await store.findRuns(undefined, jobId, 9)).toHaveLength(1);
  await sql("update job set removed_at = now()");
  await prune(store);
  expect(await store.findRuns(undefined, jobId, 9)).toEqual([]);
  expect([await count("job"), await count("bench_run"), await count("bench_item"), await count("set_score")]).toEqual([0, 0, 0, 0]);
  expect((await store.findSuites("local", "suite", 9)).map(({ rowCount }) => rowCount)).toEqual([1]);
  expect(await count("upload")).toBe(2);
});

test("what a run was computed by stays with it, and other attempts of that age go", async () => {
  const { store, sql } = world();
  const [target, reference] = [await commitClip("target"), await commitClip("reference")];
  await store.importSuite(suiteOf([row(0, target, reference)]));
  await submitRun(store, [target, reference], { seeds: 1, metrics: ["clip_score"] });
  await sql(
    `insert into task (content_key, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters, state, ended_at)
    select k, 'local', 'x', 'denoise', 'local', 's', 'm', '{}', '{}', 'succeeded', now() from unnest($1::text[]) k`,
    [[sha256("of run"), sha256("other")]],
  );
  await sql(
    `insert into task_user (task_id, render_id, position, label, artifacts)
    select t.id, r.id, 1, '', '{}' from task t, render r where t.content_key = $1`,
    [sha256("of run")],
  );
  await sql(`insert into attempt (task_id, number, shape, session_id, worker_id, worker_name, state, ended_at)
    select t.id, n, 's', 's', 'w', 'w', case n when 2 then 'succeeded' else 'failed' end, now() - interval '999 days'
    from task t, generate_series(1, 2) n where t.stage = 'denoise'`);
  await prune(store);
  const kept = await sql("select t.content_key, a.number from attempt a join task t on t.id = a.task_id");
  expect(kept).toEqual([{ content_key: sha256("of run"), number: 2 }]);
});

test("a run is found by its own tenant, and by those who may see all", async () => {
  const { store } = world();
  const target = await commitClip("target");
  await store.importSuite(suiteOf([row(0, target, target)]));
  const jobId = await submitRun(store, [target, target]);
  const found = async (tenant: string | undefined) => (await store.findRuns(tenant, jobId.slice(0, 8), 9)).length;
  expect([await found("local"), await found(undefined), await found("another")]).toEqual([1, 1, 0]);
  expect((await store.listRuns({ tenant: "another", suiteId: undefined, after: undefined, limit: 9 })).found).toEqual([]);
});

test("a run of a job that is being deleted is nobody's any more", async () => {
  const { store, sql } = world();
  const target = await commitClip("target");
  await store.importSuite(suiteOf([row(0, target, target)]));
  const jobId = await submitRun(store, [target, target]);
  await sql("update job set removed_at = now()");
  expect(await store.findRuns("local", jobId, 9)).toEqual([]);
  expect((await store.listRuns({ tenant: "local", suiteId: undefined, after: undefined, limit: 9 })).found).toEqual([]);
});

test("nothing of a run is stored when it cannot be", async () => {
  const { store } = world();
  const target = await commitClip("target");
  await expect(submitRun(store, [target, target])).rejects.toThrow("bench_run");
  expect([await count("job"), await count("render"), await count("bench_run"), await count("event")]).toEqual([0, 0, 0, 0]);
});

test("set scores of a run that is open are not stored", async () => {
  const { store } = world();
  const target = await commitClip("target");
  await store.importSuite(suiteOf([row(0, target, target)]));
  const jobId = await submitRun(store, [target, target]);
  await store.storeSetScores({ runId: jobId, endedAt: new Date() }, [
    { metric: "clip_score", aggregator: "video_mean", value: 0.5, count: 1, missingCount: 0 },
  ]);
  expect(await count("set_score")).toBe(0);
});

test("an import of votes or results replaces what was there under its name, and nothing else's", async () => {
  const { store } = world();
  const vote = { voter: "v", trial: "t", question: "quality" as const, methods: ["a", "b"], choice: "a" };
  await store.importVotes("local", "one", [vote, { ...vote, question: "alignment" }]);
  await store.importVotes("local", "two", [vote]);
  await store.importVotes("local", "one", [{ ...vote, choice: "b" }]);
  expect(await store.listVotes("local", "one")).toEqual([{ ...vote, choice: "b" }]);
  expect(await store.listVotes("local", "two")).toEqual([vote]);
  expect(await store.listVotes("another", "one")).toEqual([]);
  const results = { name: "kling", sha256: sha256("x"), summary: { dimensions: [], remarks: [] }, text: "x" };
  await store.importResults("local", results);
  await store.importResults("local", { ...results, text: "y\n" });
  expect(await store.getResults("local", "kling")).toMatchObject({ text: "y\n" });
  expect(await store.listResults("local")).toHaveLength(1);
});

test("a tenant has a thousand names of results files and of votes; the next new one is refused, not one that is there", async () => {
  const { store, sql } = world();
  const votes = [{ voter: "v", trial: "t", question: "quality" as const, methods: ["a", "b"], choice: "a" }];
  const results = { name: "first", sha256: sha256("x"), summary: { dimensions: [], remarks: ["odd"] }, text: "x" };
  expect([(await store.importResults("local", results))?.name, await store.importVotes("local", "first", votes)]).toEqual([
    "first",
    "stored",
  ]);
  await sql(
    `insert into imported_results (tenant_id, name, sha256, body, summary) select 'local', 'n' || n, '', '', '{}' from generate_series(1, 999) n`,
  );
  await sql(`insert into preference_vote (tenant_id, name, voter, trial, question, methods, choice)
    select 'local', 'n' || n, 'v' || v, 't', 'quality', '{a,b}', 'a' from generate_series(1, 999) n, generate_series(1, 2) v`);
  expect(await store.importResults("local", { ...results, name: "new" })).toBeUndefined();
  expect(await store.importVotes("local", "new", votes)).toBe("full");
  expect((await store.importResults("local", { ...results, text: "y" }))?.name).toBe("first");
  expect(await store.importVotes("local", "first", votes)).toBe("stored");
  expect((await store.importResults("another", { ...results, name: "new" }))?.name).toBe("new");
  expect(await store.importVotes("another", "new", votes)).toBe("stored");
  expect([await count("imported_results"), (await store.listVotes("local", "new")).length]).toEqual([1_001, 0]);
  expect((await store.listResults("another"))[0]?.summary.remarks).toEqual([]);
  expect((await store.getResults("another", "new"))?.summary.remarks).toEqual(["odd"]);
});

test("set scores of runs that ended are stored by the duty once for each end, and go while the run is open again", async () => {
  const { store, sql } = world();
  const target = await commitClip("target");
  await store.importSuite(suiteOf([row(0, target, target)]));
  const jobId = await submitRun(store, [target, target], { metrics: ["clip_score"] });
  const duty = createSetScores({ store, intervalMs: 1 });
  const round = () => duty.run(1, new AbortController().signal);
  const scored = async () => (await sql("select metric, aggregator, count from set_score order by 1, 2")).length;
  await round();
  expect(await scored()).toBe(0);
  await store.cancelJob("local", jobId);
  const [ended] = await store.unscoredRuns(9);
  expect(ended).toMatchObject({ runId: jobId, metrics: ["clip_score"] });
  await round();
  expect([await scored(), await store.unscoredRuns(9)]).toEqual([2, []]);
  await store.retryJob("local", jobId);
  await round();
  expect([await scored(), await store.unscoredRuns(9)]).toEqual([0, []]);
  await store.cancelJob("local", jobId);
  await sql("update job set ended_at = ended_at + interval '1 second'");
  await store.storeSetScores({ runId: jobId, endedAt: ended?.endedAt ?? new Date(0) }, [
    { metric: "clip_score", aggregator: "video_mean", value: 1, count: 1, missingCount: 0 },
  ]);
  expect([await scored(), (await store.unscoredRuns(9)).length]).toEqual([0, 1]);
  await round();
  expect(await scored()).toBe(2);
});

test("an import and the prune of the clips that it is made of never leave a suite without them", async () => {
  const { store, sql } = world();
  const outcomes = new Set<string>();
  for (let round = 0; round < 10; round += 1) {
    const target = await commitClip(`clip ${round}`);
    await age();
    const [imported] = await Promise.all([
      store.importSuite(suiteOf([row(0, target, target)], { suiteId: sha256(`${round}`) })),
      prune(store),
    ]);
    outcomes.add(imported.kind);
    const kept = await sql("select 1 from suite_upload where suite_id = $1", [sha256(`${round}`)]);
    expect(kept).toHaveLength(imported.kind === "stored" ? 1 : 0);
  }
  expect([...outcomes].every((kind) => kind === "stored" || kind === "invalid")).toBe(true);
});

test("a manifest's job keeps the clip that its panels show", async () => {
  const { store, sql } = world();
  const [image, reference, target] = [await commitClip("image"), await commitClip("reference"), await commitClip("target")];
  const spec = { image: { sha256: image }, references: [{ sha256: reference }], target: { sha256: target } };
  const submitted = async (change: Partial<typeof spec>) => {
    const render = waitingRender({ ...spec, ...change });
    return await store.submitManifest({ ...newJob(), renderTotal: 1, parts: () => partsOf([[render]]) });
  };
  expect(await submitted({ target: { sha256: sha256("gone") } })).toMatchObject({
    kind: "invalid",
    missing: [{ violation: { field: "target" } }],
  });
  expect((await submitted({})).kind).toBe("stored");
  const kept = await sql<{ sha256: string }>("select sha256 from job_upload");
  expect(kept.map(({ sha256: hash }) => hash).sort()).toEqual([image, reference, target].sort());
});
