import { expect, test } from "vitest";
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

test("a run goes with its job; its suite stays, and cannot go while a run is of it", async () => {
  const { store, sql } = world();
  const [target, reference] = [await commitClip("target"), await commitClip("reference")];
  await store.importSuite(suiteOf([row(0, target, reference)]));
  const jobId = await submitRun(store, [target, reference], { seeds: 1, metrics: ["clip_score"] });
  await expect(sql("delete from suite")).rejects.toThrow("bench_run");
  await store.cancelJob("local", jobId);
  await store.storeSetScores(jobId, [{ metric: "clip_score", aggregator: "video_mean", value: 0.5, count: 1, missingCount: 0 }]);
  await store.storeSetScores(jobId, [{ metric: "clip_score", aggregator: "video_mean", value: undefined, count: 0, missingCount: 1 }]);
  expect(await sql("select value, count, missing_count from set_score")).toEqual([{ value: null, count: 0, missing_count: 1 }]);
  await age();
  await prune(store);
  expect(await store.findRuns(undefined, jobId, 9)).toEqual([]);
  expect([await count("job"), await count("bench_run"), await count("bench_item"), await count("set_score")]).toEqual([0, 0, 0, 0]);
  expect((await store.findSuites("local", "suite", 9)).map(({ rowCount }) => rowCount)).toEqual([1]);
  expect(await count("upload")).toBe(2);
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
  await store.storeSetScores(jobId, [{ metric: "clip_score", aggregator: "video_mean", value: 0.5, count: 1, missingCount: 0 }]);
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
