/**
 * Made-up answers of a farm about benchmark runs: 48 rows of VAP's kinds, ten metrics, a few failures; the same each time.
 */
import { createHash } from "node:crypto";
import { type MetricName, metricNames } from "../../services/domain/vbench/metric.ts";
import { finalScores } from "../../services/domain/vbench/final-scores.ts";
import { setScores, vbenchAggregator } from "../../services/domain/vbench/set-scores.ts";
import {
  Aggregator,
  GetRunResponse,
  Metric,
  Preference,
  Run,
  RunItem,
  RunReuse,
  type Score,
  ScoreStatus,
  type SetScore,
  Suite,
  SuiteRow,
} from "../../services/gen/proto/vapfarm/v1/bench.ts";

/** What of a made-up run may differ. */
export type RunShape = {
  readonly runId: string;
  readonly label: string;
  readonly model: string;
  readonly rows: number;
  /** Added to each quality. */
  readonly shift: number;
  readonly steps: number;
  readonly metricVersion: number;
  /** Of the clips. */
  readonly fps: number;
  /** Positions of renders that failed. */
  readonly failed: readonly number[];
};

const kinds = ["ghibli", "inflate", "squish", "dolly-zoom", "melt", "lego", "orbit", "explode"];
const captions = [
  "A porcelain teapot on a wooden table slowly inflates until it floats, steam curling from its spout.",
  "A dancer in a red dress spins under studio light; the camera orbits her once, 360°.",
  'The sign says "OPEN <late>" & a cat — 🐈 — walks past it.',
  "Une forêt d'automne, vue d'en haut\nla caméra descend lentement",
  "城市街道在雨中变成动画风格，行人撑着伞走过",
  "</script><script>globalThis.pwned = true</script><img src=x onerror=alert(1)>",
];

/** 0 .. 1, the same for the same words. */
function chance(...words: readonly (string | number)[]): number {
  return Number.parseInt(createHash("sha256").update(words.join("|")).digest("hex").slice(0, 8), 16) / 2 ** 32;
}

export function sha(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A row of the made-up suite. */
export function benchRow(position: number): SuiteRow {
  const kind = kinds[position % kinds.length] ?? "";
  return SuiteRow.create({
    position,
    line: position + 2,
    targetSha256: sha(`target ${position}`),
    referenceSha256s: [sha(`reference ${position % 8}`)],
    caption: captions[position % captions.length] ?? "",
    referenceCaptions: [`Another thing shows ${kind}, from left to right.`],
    kind,
    seed: BigInt(Math.floor(chance("seed", position) * 2 ** 32)),
    targetPath: `vfx_videos/${kind}/${kind}-${String(position).padStart(4, "0")}.mp4`,
    referencePaths: [`vfx_videos/${kind}/ref-${position % 8}.mp4`],
  });
}

/** Mean, spread and per-clip scale of each metric. */
const typical: Readonly<Record<MetricName, readonly [number, number]>> = {
  temporal_flickering: [0.962, 0.014],
  subject_consistency: [0.912, 0.05],
  background_consistency: [0.935, 0.03],
  motion_smoothness: [0.985, 0.006],
  dynamic_degree: [0.77, 0],
  aesthetic_quality: [0.577, 0.06],
  imaging_quality: [64.3, 7],
  overall_consistency: [0.212, 0.03],
  i2v_subject: [0.956, 0.02],
  clip_score: [0.241, 0.024],
};

function number(metric: MetricName): Metric {
  return (Metric as Readonly<Record<string, Metric>>)[`METRIC_${metric.toUpperCase()}`] ?? Metric.METRIC_UNSPECIFIED;
}

function scoreOf(metric: MetricName, position: number, { shift, metricVersion, fps, runId }: RunShape): Score {
  const [mean, spread] = typical[metric];
  const bell = ["a", "b", "c", "d"].reduce((sum, word) => sum + chance(word, metric, position) - 0.5, 0);
  const own = chance("own", runId, metric, position) - 0.5;
  const isNan = metric === "dynamic_degree" && position === 5;
  const isError = metric === "aesthetic_quality" && position === 11;
  const value =
    metric === "dynamic_degree" ? Number(chance(metric, position, runId) < mean) : mean + spread * (bell * 1.6 + own * 0.5 + shift);
  const status = isNan ? ScoreStatus.SCORE_STATUS_NAN : isError ? ScoreStatus.SCORE_STATUS_ERROR : ScoreStatus.SCORE_STATUS_OK;
  return {
    metric: number(metric),
    status,
    value: status === ScoreStatus.SCORE_STATUS_OK ? value : undefined,
    reason: isNan ? "the flow network gives no number for frames of 64x48" : isError ? "STAGE_FAILED: the runtime ran out of memory" : "",
    vbenchValue: isNan ? 0 : undefined,
    metricVersion,
    variant: metric === "clip_score" ? "clip_b32_middle8" : "",
    modelDigest: metric === "temporal_flickering" ? "" : sha(`networks of ${metric}`),
    decodeProfile: ["temporal_flickering", "motion_smoothness", "dynamic_degree"].includes(metric) ? "bt601" : "rgb",
    frames: 49,
    fpsNumerator: fps,
    fpsDenominator: 1,
    width: 720,
    height: 480,
    extraJson: metric === "background_consistency" ? JSON.stringify({ video_sim: value * 48, cnt_per_video: 48 }) : "",
    series: [],
  };
}

const stages: readonly (readonly [string, number, number])[] = [
  ["prepare", 0.8, 0],
  ["text_encode", 1.9, 4.1],
  ["vae_encode", 3.4, 1.2],
  ["denoise", 41, 9.5],
  ["vae_decode", 6.2, 1.3],
  ["score/temporal_flickering", 0.3, 0],
  ["score/subject_consistency", 2.2, 0.6],
  ["score/motion_smoothness", 5.1, 0.9],
  ["score/dynamic_degree", 7.7, 1.1],
];

function benchItem(position: number, shape: RunShape): RunItem {
  const row = benchRow(position);
  const isFailed = shape.failed.includes(position);
  return RunItem.create({
    renderPosition: position,
    row,
    seedIndex: 0,
    seed: row.seed,
    state: isFailed ? "failed" : "succeeded",
    failureCode: isFailed ? "MEDIA_TRUNCATED" : "",
    failureMessage: isFailed ? "the file ends before its last part, or its index is missing" : "",
    failureStage: isFailed ? "prepare" : "",
    videoSha256: isFailed ? "" : sha(`video ${shape.runId} ${position}`),
    scores: isFailed ? [] : metricNames.map((metric) => scoreOf(metric, position, shape)),
    stages: isFailed
      ? [{ stage: "prepare", computeSeconds: 0.2, loadSeconds: 0, isReused: false }]
      : stages.map(([stage, mean, load]) => ({
          stage,
          computeSeconds: mean * (0.85 + 0.3 * chance(stage, position)),
          loadSeconds: position % 8 === 0 ? load : 0,
          isReused: (stage === "text_encode" || stage === "prepare") && chance("reuse", stage, position) < 0.3,
        })),
  });
}

function setScoresOf(items: readonly RunItem[]): readonly SetScore[] {
  return metricNames.flatMap((metric) => {
    const scores = items.flatMap(({ scores: own }) => own.filter((score) => score.metric === number(metric)));
    const videos = scores.flatMap(({ value }, index) => (value === undefined ? [] : [{ value, count: 40 + (index % 9) }]));
    const both = setScores(metric, videos);
    const missingCount = items.length - videos.length;
    const one = (aggregator: Aggregator, name: "video_mean" | "frame_weighted"): SetScore => ({
      metric: number(metric),
      aggregator,
      value: both[name]?.value,
      count: videos.length,
      missingCount,
      isVbench: vbenchAggregator(metric) === name,
    });
    const frames =
      metric === "subject_consistency" || metric === "background_consistency"
        ? [one(Aggregator.AGGREGATOR_FRAME_WEIGHTED, "frame_weighted")]
        : [];
    return [one(Aggregator.AGGREGATOR_VIDEO_MEAN, "video_mean"), ...frames];
  });
}

export type BenchWorld = { readonly answer: GetRunResponse; readonly items: readonly RunItem[]; readonly run: Run };

/** A run that has ended, all of it. */
export function benchWorld(change: Partial<RunShape> = {}): BenchWorld {
  const shape: RunShape = {
    runId: "0199a3f2-7c1e-7000-8000-00000000a001",
    label: "VAP-Wan, 20 steps",
    model: "vap-wan",
    rows: 48,
    shift: 0,
    steps: 20,
    metricVersion: 1,
    fps: 16,
    failed: [7, 30],
    ...change,
  };
  const items = Array.from({ length: shape.rows }, (_, position) => benchItem(position, shape));
  const sets = setScoresOf(items);
  const final = finalScores(Object.fromEntries(sets.filter(({ isVbench }) => isVbench).map(({ metric, value }) => [metricNames.find((name) => number(name) === metric) ?? "", value ?? Number.NaN]))); // prettier-ignore
  const failedCount = items.filter(({ state }) => state === "failed").length;
  const run = Run.create({
    runId: shape.runId,
    label: shape.label,
    suiteId: sha("suite"),
    suiteName: "benchmark",
    model: shape.model,
    modelDigest: sha(shape.model),
    metricsModel: "vbench-metrics",
    hasTrainedMetrics: true,
    hasTrainedWeights: true,
    metrics: metricNames.map(number),
    seeds: 1,
    reuse: RunReuse.RUN_REUSE_INPUTS,
    steps: shape.steps,
    guidanceScale: 5,
    state: failedCount > 0 ? "failed" : "succeeded",
    itemCount: items.length,
    succeededCount: items.length - failedCount,
    failedCount,
    createTime: new Date("2026-03-01T08:00:00Z"),
    endTime: new Date("2026-03-01T09:12:30Z"),
    endedScores: 10 * (items.length - failedCount),
    scoreCount: 10 * items.length,
    settingsDigest: sha(`${shape.model} ${shape.steps}`),
  });
  const { second: semantic, quality, total, missing } = final;
  return {
    run,
    items,
    answer: GetRunResponse.create({ run, setScores: [...sets], finalScores: { quality, semantic, total, missing: [...missing] } }),
  };
}

export const benchSuite = Suite.create({
  suiteId: sha("suite"),
  name: "benchmark",
  rowCount: 48,
  createTime: new Date("2026-02-28T12:00:00Z"),
  kinds: kinds.map((kind) => ({ kind, rows: 6 })),
});

export const benchPreference = Preference.create({
  name: "spring-study",
  voters: 20,
  votes: 480,
  shares: [
    { method: "vap-wan", percent: 41.25, alignmentPercent: 43.3, qualityPercent: 39.2, selections: 198 },
    { method: "Kling / Vidu", percent: 37.5, alignmentPercent: 35, qualityPercent: 40, selections: 180 },
    { method: "CogVideoX-I2V (LoRA)", percent: 21.25, alignmentPercent: 21.7, qualityPercent: 20.8, selections: 102 },
  ],
});
