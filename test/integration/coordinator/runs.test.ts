import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { metrics as metricNumbers } from "../../../services/coordinator/rpc/wire-names.ts";
import { seedOf } from "../../../services/domain/suite-id.ts";
import { metricNames } from "../../../services/domain/vbench/metric.ts";
import {
  Aggregator,
  GetRunRequest,
  ListRunsRequest,
  Metric,
  type Run,
  RunReuse,
  ScoreStatus,
  type StartRunRequest,
} from "../../../services/gen/proto/vapfarm/v1/bench.ts";
import { type FarmServiceClient, GetRenderRequest, JobClass, RetryJobRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind, type SchedulerKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import {
  importSuite,
  playUntil,
  type PlayScore,
  runItems,
  startRun,
  suiteMessages,
  suiteRow,
  uploadClips,
} from "../../support/bench-calls.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, cancel, getJob, present, refusalOf } from "../../support/farm-calls.ts";
import { type PlayedWorker, playWorker } from "../../support/played-worker.ts";

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let client: FarmServiceClient;
let worker: PlayedWorker;
let clips: readonly string[];
let suite: string;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start();
  ({ client } = running);
  worker = await playWorker(farm.broker, farm.artifacts, { scores: true });
  clips = await uploadClips(client, [40, 41]);
  suite = await newSuite("the suite");
});
afterAll(async () => {
  worker.stop();
  await farm.stop();
});

async function newSuite(name: string, rows = 3): Promise<string> {
  const all = Array.from({ length: rows }, (_, position) => suiteRow(position, clips, { kind: name }));
  return present((await importSuite(client, suiteMessages(all, { name }))).suite).suiteId;
}
async function start(change: Partial<StartRunRequest>): Promise<Run> {
  return present((await startRun(client, { suite, ...change })).run);
}
const getRun = (runId: string) => call(client.getRun.bind(client), GetRunRequest.create({ runId }));
const stateOf = async (runId: string): Promise<string> => present((await getRun(runId)).run).state;
const isOver = (runId: string) => async () => !["queued", "running"].includes(await stateOf(runId));
const play = (runId: string, said: PlayScore) => playUntil({ worker, artifacts: farm.artifacts }, said, isOver(runId));
const fine: PlayScore = () => ({});
const motion = { metrics: [Metric.METRIC_MOTION_SMOOTHNESS] };

describe("a run", () => {
  it("is a job with a render for each row and seed, scored with every metric of the repository", async () => {
    const { run, existed } = await startRun(client, { suite: "the suite", seeds: 2, panels: true, priority: 3 });
    const { runId, ...told } = present(run);
    expect(existed).toBe(false);
    expect(told).toMatchObject({
      label: "the suite on demo",
      suiteId: suite,
      suiteName: "the suite",
      model: "demo",
      metricsModel: "demo-metrics",
      hasTrainedMetrics: false,
      hasTrainedWeights: false,
      metrics: metricNames.map((metric) => metricNumbers[metric]),
      seeds: 2,
      reuse: RunReuse.RUN_REUSE_INPUTS,
      panels: true,
      steps: 2,
      state: "queued",
      itemCount: 6,
      endedScores: 0,
      scoreCount: 60,
    });
    const job = await getJob(client, runId);
    expect(job).toMatchObject({ jobClass: JobClass.JOB_CLASS_BENCHMARK, priority: 3, renderCounts: { total: 6 } });
    const items = await runItems(client, runId, { pageSize: 4 });
    expect(items.map(({ renderPosition, row, seedIndex, seed }) => [renderPosition, row?.position, seedIndex, seed])).toEqual(
      [0, 1, 2].flatMap((row) => [0, 1].map((index) => [2 * row + index, row, index, seedOf(BigInt(1_000 + row), index)])),
    );
    const { render } = await call(client.getRender.bind(client), GetRenderRequest.create({ jobId: runId, position: 3 }));
    expect(render?.spec).toMatchObject({
      prompt: "cat 1",
      image: { sha256: clips[0] },
      target: { sha256: clips[0] },
      references: [{ sha256: clips[1] }],
      referencePrompts: ["dog 1"],
      seed: seedOf(1_001n, 1),
      outputs: [OutputKind.OUTPUT_KIND_MP4, OutputKind.OUTPUT_KIND_PANELS],
      scores: { metricsModel: "demo-metrics" },
    });
    await cancel(client, runId);
  });

  it("takes the rows that are named, in the suite's order, and scores nothing where nothing is asked for", async () => {
    const run = await start({ rows: [2, 0], withoutMetrics: true, label: "two rows", guidanceScale: 3 });
    expect(run).toMatchObject({ label: "two rows", metricsModel: "", metrics: [], itemCount: 2, scoreCount: 0, guidanceScale: 3 });
    const items = await runItems(client, run.runId);
    expect(items.map(({ row, seed, scores }) => [row?.position, seed, scores])).toEqual([
      [0, 1_000n, []],
      [2, 1_002n, []],
    ]);
    await play(run.runId, fine);
    expect(await stateOf(run.runId)).toBe("succeeded");
  });

  it("that is asked for again is the same run, also when both come at once; with another setting or label it is another", async () => {
    const own = { suite: await newSuite("asked again"), ...motion };
    const answers = await Promise.all([startRun(client, own), startRun(client, own)]);
    expect(answers.map(({ existed }) => existed).sort()).toEqual([false, true]);
    expect(answers[0].run?.runId).toBe(answers[1].run?.runId);
    const again = await startRun(client, {
      ...own,
      rows: [1, 0, 2],
      seeds: 1,
      reuse: RunReuse.RUN_REUSE_INPUTS,
      metricsModel: "demo-metrics",
    });
    expect([again.existed, again.run?.runId]).toEqual([true, answers[0].run?.runId]);
    const others = [
      { steps: 3 },
      { label: "other" },
      { rows: [0] },
      { seeds: 2 },
      { metrics: [Metric.METRIC_CLIP_SCORE] },
      { idempotencyKey: "k" },
    ];
    const ids = new Set([again.run?.runId]);
    for (const change of others) {
      const other = await startRun(client, { ...own, ...change });
      expect(other.existed).toBe(false);
      ids.add(other.run?.runId);
    }
    expect(ids.size).toBe(others.length + 1);
    const kept = await startRun(client, { ...own, idempotencyKey: "k" });
    expect([kept.existed, ids.has(kept.run?.runId)]).toEqual([true, true]);
    expect((await refusalOf(startRun(client, { ...own, steps: 9, idempotencyKey: "k" }))).code).toBe("IDEMPOTENCY_CONFLICT");
    for (const id of ids) await cancel(client, present(id));
  });

  it("has the settings digest of runs that can be compared with it", async () => {
    const one = await start({ ...motion, label: "one" });
    const other = await start({ ...motion, label: "other", rows: [0], priority: 9, panels: true });
    const unlike = await start({ ...motion, label: "unlike", steps: 4 });
    expect(other.settingsDigest).toBe(one.settingsDigest);
    expect(unlike.settingsDigest).not.toBe(one.settingsDigest);
    for (const { runId } of [one, other, unlike]) await cancel(client, runId);
  });

  it.each<[string, Partial<StartRunRequest>, readonly [string, string]]>([
    ["of an unknown model", { model: "none" }, ["MODEL_UNKNOWN", "model"]],
    ["with an unknown metric repository", { metricsModel: "none" }, ["METRICS_UNKNOWN", "metrics_model"]],
    ["with a metric that there is not", { metrics: [99 as Metric] }, ["FIELD_INVALID", "metrics[0]"]],
    ["with the unspecified metric", { metrics: [0] }, ["FIELD_INVALID", "metrics[0]"]],
    ["with a metric twice", { metrics: [1, 1] }, ["FIELD_INVALID", "metrics"]],
    ["with metrics and without", { metrics: [1], withoutMetrics: true }, ["FIELD_INVALID", "without_metrics"]],
    ["of a row that the suite has not", { rows: [0, 3] }, ["FIELD_INVALID", "rows[1]"]],
    ["of a negative row", { rows: [-1] }, ["FIELD_INVALID", "rows[0]"]],
    ["of a row twice", { rows: [1, 1] }, ["FIELD_INVALID", "rows[1]"]],
    ["of 101 seeds", { seeds: 101 }, ["FIELD_INVALID", "seeds"]],
    ["of no steps", { steps: 0 }, ["FIELD_INVALID", "steps"]],
    ["with endless guidance", { guidanceScale: Infinity }, ["FIELD_INVALID", "guidance_scale"]],
    ["with an unknown scheduler", { scheduler: 99 as SchedulerKind }, ["FIELD_INVALID", "scheduler"]],
    ["that may take what there is not", { reuse: 99 as RunReuse }, ["FIELD_INVALID", "reuse"]],
    ["before all others", { priority: 101 }, ["FIELD_INVALID", "priority"]],
    ["under a name with a line break", { label: "a\nb" }, ["FIELD_INVALID", "label"]],
  ])("%s is refused, and nothing is stored", async (_title, change, [code, field]) => {
    const before = (await call(client.listRuns.bind(client), ListRunsRequest.create())).runs.length;
    const refused = await refusalOf(startRun(client, { suite, ...change }));
    expect([refused.code, refused.details.fields?.map((one) => one.field)]).toEqual([code, expect.arrayContaining([field])]);
    expect((await call(client.listRuns.bind(client), ListRunsRequest.create())).runs).toHaveLength(before);
  });

  it("of rows that its model cannot render is refused with each of them", async () => {
    const rows = [0, 1, 2].map((position) => {
      const count = position === 1 ? 1 : 3;
      const [target = "", reference = ""] = clips;
      const references = Array.from({ length: count }, () => reference);
      const texts = references.map(() => "text");
      return suiteRow(position, [target], { referenceSha256s: references, referenceCaptions: texts, referencePaths: texts });
    });
    const wide = present((await importSuite(client, suiteMessages(rows, { name: "wide" }))).suite).suiteId;
    const refused = await refusalOf(startRun(client, { suite: wide, rows: [1, 2, 0], withoutMetrics: true, model: "demo-wan" }));
    expect(refused.code).toBe("FIELD_INVALID");
    expect(refused.details.fields?.every(({ field }) => /^suite\.rows\[[02]\]\.references$/.test(field))).toBe(true);
  });
});

describe("the scores of a run", () => {
  it("are told as their tasks end: values, reasons, failures; and come to set scores", { timeout: 60_000 }, async () => {
    const own = await newSuite("scored");
    const asked = [
      Metric.METRIC_SUBJECT_CONSISTENCY,
      Metric.METRIC_DYNAMIC_DEGREE,
      Metric.METRIC_IMAGING_QUALITY,
      Metric.METRIC_CLIP_SCORE,
    ];
    const run = await start({ suite: own, metrics: asked });
    const before = await runItems(client, run.runId);
    expect(before.every(({ scores }) => scores.every(({ status }) => status === ScoreStatus.SCORE_STATUS_PENDING))).toBe(true);
    expect(before.map(({ scores }) => scores.map(({ metric }) => metric))).toEqual([asked, asked, asked]);
    let [subjects, images] = [0, 0];
    await play(run.runId, (metric) => {
      if (metric === "dynamic_degree") return { status: "nan", value: undefined, reason: "too small", vbenchValue: 0 };
      if (metric === "clip_score") return { fails: "STAGE_INPUT_INVALID" };
      if (metric === "imaging_quality") return { value: 60 + 10 * (images += 1), variant: "v" };
      subjects += 1;
      return {
        value: subjects / 4,
        extraJson: JSON.stringify({ video_sim: (subjects / 4) * subjects, cnt_per_video: subjects }),
        series: [{ name: "similarities", values: [0.5, subjects / 4] }],
      };
    });
    const { run: ended, setScores, finalScores } = await getRun(run.runId.slice(0, 13));
    expect(ended).toMatchObject({ state: "succeeded", succeededCount: 3, failedCount: 0, endedScores: 12, scoreCount: 12 });
    const valueOf = (metric: Metric, aggregator: Aggregator) =>
      setScores.find((one) => one.metric === metric && one.aggregator === aggregator);
    const { AGGREGATOR_VIDEO_MEAN: videoMean, AGGREGATOR_FRAME_WEIGHTED: frameWeighted } = Aggregator;
    expect(valueOf(Metric.METRIC_SUBJECT_CONSISTENCY, videoMean)).toMatchObject({ value: 0.5, count: 3, missingCount: 0, isVbench: false });
    expect(valueOf(Metric.METRIC_SUBJECT_CONSISTENCY, frameWeighted)).toMatchObject({ value: 3.5 / 6, isVbench: true });
    expect(valueOf(Metric.METRIC_IMAGING_QUALITY, videoMean)).toMatchObject({ value: 0.8, isVbench: true });
    expect(valueOf(Metric.METRIC_DYNAMIC_DEGREE, videoMean)).toMatchObject({ value: undefined, count: 0, missingCount: 3 });
    expect(valueOf(Metric.METRIC_CLIP_SCORE, videoMean)).toMatchObject({ value: undefined, count: 0, missingCount: 3 });
    expect(finalScores?.missing).toContain("dynamic_degree");
    expect(finalScores?.missing).not.toContain("subject_consistency");
    const counts = await call(client.getRun.bind(client), GetRunRequest.create({ runId: run.runId, withoutScores: true }));
    expect([counts.run, counts.setScores, counts.finalScores]).toEqual([ended, [], undefined]);
    const items = await runItems(client, run.runId, { withSeries: true, pageSize: 2 });
    for (const { state, scores, videoSha256, stages } of items) {
      expect([state, videoSha256]).toEqual(["succeeded", expect.stringMatching(/^[0-9a-f]{64}$/)]);
      expect(scores.map(({ status, reason }) => [status, reason])).toEqual([
        [ScoreStatus.SCORE_STATUS_OK, ""],
        [ScoreStatus.SCORE_STATUS_NAN, "too small"],
        [ScoreStatus.SCORE_STATUS_OK, ""],
        [ScoreStatus.SCORE_STATUS_ERROR, "STAGE_INPUT_INVALID: played"],
      ]);
      expect(scores[0]?.series[0]?.values[1]).toBe(scores[0]?.value);
      expect(scores[1]).toMatchObject({ value: undefined, vbenchValue: 0, frames: 17, fpsNumerator: 16, width: 64 });
      expect(scores[2]?.variant).toBe("v");
      expect(stages.map(({ stage }) => stage)).toEqual(
        expect.arrayContaining(["prepare", "denoise", "vae_decode", "score/dynamic_degree"]),
      );
      expect(stages.find(({ stage }) => stage === "denoise")).toMatchObject({ computeSeconds: 0.004, loadSeconds: 0.001, isReused: false });
    }
    expect((await runItems(client, run.runId))[0]?.scores[0]?.series).toEqual([]);
    expect((await getRun(run.runId)).setScores).toEqual(setScores);
  });

  it("are those of its own clips: another run shares what comes before denoising, no more", { timeout: 60_000 }, async () => {
    const own = { suite: await newSuite("shared", 1), ...motion };
    const first = await start(own);
    await play(first.runId, () => ({ value: 0.25 }));
    const second = await start({ ...own, label: "second" });
    await play(second.runId, () => ({ value: 0.75 }));
    const stages = (await runItems(client, second.runId))[0]?.stages ?? [];
    expect(stages.find(({ stage }) => stage === "text_encode")?.isReused).toBe(true);
    expect(stages.find(({ stage }) => stage === "denoise")?.isReused).toBe(false);
    const valuesOf = async (runId: string) => (await runItems(client, runId)).flatMap(({ scores }) => scores.map(({ value }) => value));
    expect([await valuesOf(first.runId), await valuesOf(second.runId)]).toEqual([[0.25], [0.75]]);
  });

  it("leave a failed render what was its own failure, and a cancelled one nothing", { timeout: 60_000 }, async () => {
    const own = await newSuite("failing", 2);
    const run = await start({ suite: own, ...motion });
    await call(client.cancelRender.bind(client), { jobId: run.runId, position: 1 });
    const claim = await worker.claim();
    await worker.next({
      reports: [{ attemptId: claim.attemptId, outcome: { $case: "failure", value: { code: "MEDIA_NOT_DECODABLE", message: "row", abandoned: false, badInputSha256: [], logTail: "" } }, deviceMs: 1, loadMs: 0, computeMs: 0, fetchMs: 0, finishMs: 0 }], // prettier-ignore
      freeSlots: 0,
    });
    const { run: ended, setScores } = await getRun(run.runId);
    expect(ended).toMatchObject({ state: "failed", failedCount: 1, cancelledCount: 1, endedScores: 2, scoreCount: 2 });
    expect(setScores.every(({ count, missingCount }) => count + missingCount === 0)).toBe(true);
    expect(
      (await runItems(client, run.runId)).map(({ state, failureCode, failureStage, scores }) => [state, failureCode, failureStage, scores]),
    ).toEqual([
      ["failed", "MEDIA_NOT_DECODABLE", claim.stage, []],
      ["cancelled", "", "", []],
    ]);
    await call(client.retryJob.bind(client), RetryJobRequest.create({ jobId: run.runId }));
    await play(run.runId, fine);
    expect(await stateOf(run.runId)).toBe("succeeded");
    expect((await getRun(run.runId)).setScores[0]).toMatchObject({ value: 0.5, count: 2 });
  });
});

describe("runs", () => {
  it("are listed by suite, the newest first, and found by the beginning of their id", async () => {
    const own = await newSuite("listed");
    const ids: string[] = [];
    for (const label of ["a", "b", "c"]) ids.unshift((await start({ suite: own, withoutMetrics: true, label })).runId);
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await call(client.listRuns.bind(client), ListRunsRequest.create({ suite: "listed", pageSize: 2, pageToken }));
      listed.push(...page.runs.map(({ runId }) => runId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed).toEqual(ids);
    const all = await call(client.listRuns.bind(client), ListRunsRequest.create());
    expect(all.runs.slice(0, 3).map(({ runId }) => runId)).toEqual(ids);
    const [id = ""] = ids;
    expect((await getRun(id.slice(0, 9))).run?.runId).toBe(id);
    for (const named of ["", id.slice(0, 7), id.toUpperCase(), "00000000"])
      expect((await refusalOf(getRun(named))).code).toBe("RUN_UNKNOWN");
    for (const runId of ids) await cancel(client, runId);
  });

  it("go with their jobs, and leave their suites", async () => {
    const own = await newSuite("deleted");
    const run = await start({ suite: own, withoutMetrics: true });
    await cancel(client, run.runId);
    const again = await startRun(client, { suite: own, withoutMetrics: true });
    expect([again.existed, again.run?.state]).toEqual([true, "cancelled"]);
  });
});
