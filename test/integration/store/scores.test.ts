import { expect, test } from "vitest";
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import { scoreStage } from "../../../services/domain/stage.ts";
import type { MetricName } from "../../../services/domain/vbench/metric.ts";
import type { AttemptReport, ReportedScore } from "../../../services/coordinator/store/store-contract.ts";
import { checkInvariants } from "../../support/store-invariants.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, outputHash, sha256, submit, success, task } from "../../support/store-world.ts";

const world = useWorld();

const motion = "motion_smoothness";

/** A task that makes a clip, and score tasks of it; `domain` keeps them apart from those of another. */
function scored(metrics: readonly MetricName[], { domain = "", prompt }: { readonly domain?: string; readonly prompt?: string } = {}) {
  const clip = { ...task("clip", { domain, artifacts: ["mp4"] }), stage: "vae_decode" as const };
  const scores = metrics.map((metric): PlannedTask => ({
    ...task(metric, { domain }),
    stage: scoreStage(metric),
    parameters: { score: { metric, ...(prompt === undefined ? {} : { prompt }) } },
    inputs: [{ name: "video", source: { kind: "task", contentKey: clip.contentKey, output: "mp4" } }],
  }));
  return [clip, ...scores];
}

const score = (change: Partial<ReportedScore> = {}): ReportedScore => ({
  metric: motion,
  metricVersion: 1,
  variant: "",
  modelDigest: "",
  runtime: "played",
  decodeProfile: "bt601",
  status: "ok",
  value: 0.1 + 0.2,
  reason: "",
  vbenchValue: null,
  frames: 49,
  fpsNumerator: 16,
  fpsDenominator: 1,
  width: 64,
  height: 48,
  extra: { pairs: 2 },
  series: [{ name: "differences", values: [3, 1e-300, 2] }],
  decodeMs: 4,
  ...change,
});

/** The clip's own hash is `clip`'s, whichever task made it. */
function made(claim: Parameters<typeof success>[0], clip = "clip"): AttemptReport {
  const report = success(claim, ["mp4"]);
  if (report.outcome.kind !== "success") return report;
  const outputs = report.outcome.outputs.map((output) => ({ ...output, sha256: sha256(clip) }));
  return { ...report, outcome: { ...report.outcome, outputs } };
}

function scoreReport(claim: Parameters<typeof success>[0], change: Partial<ReportedScore> = {}): AttemptReport {
  const report = success(claim, ["json"]);
  return report.outcome.kind === "success" ? { ...report, outcome: { ...report.outcome, score: score(change) } } : report;
}

const values = () =>
  world().sql<{ metric: string; status: string; value: number | null; conditioned_on: string; video_sha256: string }>(
    "select metric, status, value, conditioned_on, video_sha256 from metric_value order by id",
  );

test("a score is committed with its attempt, once, however often it is reported", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, scored([motion]));
  const worker = createWorker(store);
  await worker.report(made(await worker.claim()));
  const claim = await worker.claim();
  for (let times = 0; times < 3; times += 1) await worker.report(scoreReport(claim, { value: 0.1 + 0.2 + times }));
  expect(await values()).toEqual([{ metric: motion, status: "ok", value: 0.1 + 0.2, conditioned_on: "", video_sha256: sha256("clip") }]);
  expect(await sql(`select name, "values" from metric_series`)).toEqual([{ name: "differences", values: [3, 1e-300, 2] }]);
  expect(await sql("select metric, runtime, provider, profile, decode_profile from metric_run")).toEqual([
    { metric: motion, runtime: "played", provider: "cpu", profile: "cpu;test", decode_profile: "bt601" },
  ]);
  expect(await sql("select extra, frames, width from metric_value")).toEqual([{ extra: { pairs: 2 }, frames: 49, width: 64 }]);
  expect((await store.getJob("local", jobId))?.state).toBe("succeeded");
  await checkInvariants(world());
});

test("a clip's value is on the scale of its set's in the view: imaging quality divided by 100, others as they are", async () => {
  const { store, sql } = world();
  await submit(store, scored([motion]));
  const worker = createWorker(store);
  await worker.report(made(await worker.claim()));
  await worker.report(scoreReport(await worker.claim(), { value: 0.5 }));
  const { length } = await sql("select column_name from information_schema.columns where table_name = 'metric_value'");
  const [row] = await sql("select * from metric_value_normalized");
  expect([Object.keys(row ?? {}).length, row]).toEqual([
    length + 1,
    expect.objectContaining({ metric: motion, value: 0.5, normalized: 0.5 }),
  ]);
  await sql("update metric_value set metric = 'imaging_quality', value = 64");
  expect(await sql("select value, normalized from metric_value_normalized")).toEqual([{ value: 64, normalized: 0.64 }]);
});

test.each(["nan", "skipped"] as const)("a score that is %s has a reason and VBench's answer, and no value", async (status) => {
  const { store, sql } = world();
  await submit(store, scored([motion]));
  const worker = createWorker(store);
  await worker.report(made(await worker.claim()));
  await worker.report(scoreReport(await worker.claim(), { status, value: null, reason: "frame 3", vbenchValue: 0, series: [] }));
  expect(await sql("select status, value, reason, vbench_value from metric_value")).toEqual([
    { status, value: null, reason: "frame 3", vbench_value: 0 },
  ]);
});

test("the first value of a clip stays, whoever computes it again; another prompt's is another value", async () => {
  const { store, sql } = world();
  const worker = createWorker(store);
  const scores: [string, string, number][] = [
    ["a", "cat", 0.1],
    ["b", "cat", 0.2],
    ["c", "dog", 0.3],
  ];
  for (const [domain, prompt, value] of scores) {
    await submit(store, scored([motion], { domain, prompt }));
    await worker.report(made(await worker.claim()));
    await worker.report(scoreReport(await worker.claim(), { value }));
  }
  expect((await values()).map(({ value, conditioned_on }) => [value, conditioned_on])).toEqual([
    [0.1, sha256("cat")],
    [0.3, sha256("dog")],
  ]);
  const ofTasks = await sql<{ value: number }>(
    "select v.value from task_score k join metric_value v on v.id = k.value_id order by k.task_id",
  );
  expect(ofTasks.map(({ value }) => value)).toEqual([0.1, 0.1, 0.3]);
});

test.each([
  ["without its score", (claim: Parameters<typeof success>[0]) => success(claim, ["json"])],
  ["with another metric's", (claim: Parameters<typeof success>[0]) => scoreReport(claim, { metric: "clip_score" })],
])("a score task that succeeds %s has not succeeded: the attempt failed, and the task runs again", async (_how, report) => {
  const { store, sql } = world();
  await submit(store, scored([motion]));
  const worker = createWorker(store);
  await worker.report(made(await worker.claim()));
  await worker.report(report(await worker.claim()));
  expect(await values()).toEqual([]);
  expect(
    await sql("select a.state, a.error_code, t.state as task from attempt a join task t on t.id = a.task_id where t.stage like 'score/%'"),
  ).toEqual([{ state: "failed", error_code: "STAGE_FAILED", task: "delayed" }]);
});

test("the sweep finds nothing to repair in an open render of which a score has failed, nor in one that is over", async () => {
  const { store } = world();
  await submit(store, scored([motion, "dynamic_degree"]));
  const worker = createWorker(store);
  await worker.report(made(await worker.claim()));
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  const sweep = async () => {
    const { epoch } = (await store.holdDuty("sweep", "test", 60_000)) ?? { epoch: 0 };
    return (await store.sweep(epoch)).repaired;
  };
  expect(await sweep()).toBe(0);
  const claim = await worker.claim();
  await worker.report(scoreReport(claim, { metric: claim.stage.slice("score/".length) }));
  expect(await sweep()).toBe(0);
});

test("of one clip against two images there are two values", async () => {
  const { store } = world();
  const worker = createWorker(store);
  for (const image of ["one", "other"]) {
    const [clip, subject] = scored(["i2v_subject"], { domain: image });
    if (clip === undefined || subject === undefined) throw new TypeError("there is no plan");
    const picture = { ...task("picture", { domain: image }), stage: "prepare" as const };
    const source = { kind: "task", contentKey: picture.contentKey, output: "json" } as const;
    await submit(store, [clip, picture, { ...subject, inputs: [...subject.inputs, { name: "image", source }] }]);
    for (let turn = 0; turn < 2; turn += 1) {
      const claim = await worker.claim();
      if (claim.stage === "vae_decode") await worker.report(made(claim));
      else await worker.report(success(claim, ["json"]));
    }
    await worker.report(scoreReport(await worker.claim(), { metric: "i2v_subject", value: image === "one" ? 0.25 : 0.5 }));
  }
  expect((await values()).map(({ value }) => value)).toEqual([0.25, 0.5]);
});

test("a render succeeds when its scores have ended, with or without a value, and not before", async () => {
  const { store } = world();
  const jobId = await submit(store, scored([motion, "dynamic_degree"]));
  const worker = createWorker(store);
  const state = async () => (await store.getJob("local", jobId))?.state;
  await worker.report(made(await worker.claim()));
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect(await state()).toBe("running");
  const claim = await worker.claim();
  await worker.report(scoreReport(claim, { metric: claim.stage.slice("score/".length) }));
  expect(await state()).toBe("succeeded");
  const job = await store.getJob("local", jobId);
  expect(job?.only?.failure).toBeUndefined();
  expect(job?.only?.artifacts.map(({ name, sha256: hash }) => [name, hash])).toEqual([["mp4", sha256("clip")]]);
  await checkInvariants(world());
});

test("a render whose last score fails succeeds with that", async () => {
  const { store } = world();
  const jobId = await submit(store, scored([motion]));
  const worker = createWorker(store);
  await worker.report(made(await worker.claim()));
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect((await store.getJob("local", jobId))?.state).toBe("succeeded");
  await checkInvariants(world());
});

test("a render whose clip fails fails for that, and its scores are over", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, scored([motion]));
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  const job = await store.getJob("local", jobId);
  expect([job?.state, job?.only?.failure?.stage]).toEqual(["failed", "vae_decode"]);
  expect(await sql("select state from task where vf_is_score(stage)")).toEqual([{ state: "cancelled" }]);
  await checkInvariants(world());
});

test("a score is kept when the render that asked for it is gone", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, scored([motion]));
  const worker = createWorker(store);
  const clip = await worker.claim();
  await worker.report(success(clip, ["mp4"]));
  await worker.report(scoreReport(await worker.claim()));
  await sql("update task set unused_since = null");
  await sql("delete from render where job_id = $1", [jobId]);
  await sql("delete from task_input");
  await sql("delete from task");
  expect((await values()).map(({ video_sha256 }) => video_sha256)).toEqual([outputHash(clip.taskId, "mp4")]);
});
