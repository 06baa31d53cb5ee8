/**
 * A benchmark run on the tiny models through the farm against the same rows as a plain PyTorch loop: wall time, and whether both come to the
 * same.
 *
 * Half of the loop runs before the farm and half after it, so that a machine that becomes slower or faster does so for both. Metrics are
 * compared on the farm's clips: an encoder makes more of a pixel that rounds to another level than the tolerances of metrics allow.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "../../services/domain/tensors/tensor.ts";
import { type MetricName, metricNames } from "../../services/domain/vbench/metric.ts";
import { Metric, type RunItem, ScoreStatus } from "../../services/gen/proto/vapfarm/v1/bench.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { maxDifference } from "../support/golden.ts";
import { metricTolerances } from "../support/vbench/tolerances.ts";
import { type LoopRow, openPlainLoop, type PlainLoop } from "./plain-loop.ts";
import type { Bench, Figure } from "./report.ts";
import { decodesOf, downloadClips, type FarmRun, runSuite, tensorsOf } from "./suite-farm.ts";
import { type BenchSuite, makeSuite } from "./suite-rows.ts";

const workers = 2;

export const suite: Bench = {
  name: `suite: benchmark rows on the tiny models, ${workers} workers of 1 thread each against a plain PyTorch loop of ${workers} threads`,
  notMeasured: "a GPU; trained or released-size networks, whose share of the time is larger; the start of the farm and of Python",
  async run(short) {
    const { count, steps } = short ? { count: 1, steps: 1 } : { count: 48, steps: 4 };
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-suite-"));
    const farm = await startTestFarm({ args: ["--ephemeral", "--workers", String(workers), "--threads", "1"] });
    try {
      const made = await makeSuite(folder, count);
      const loop = await openPlainLoop(made, { steps, threads: workers });
      return loop === undefined ? await farmAlone(farm, made, steps) : await sideBySide({ farm, loop, made, steps });
    } finally {
      await farm.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function farmAlone(farm: TestFarm, made: BenchSuite, steps: number): Promise<readonly Figure[]> {
  const run = await runSuite(farm, made, steps);
  return [
    { name: "plain loop: left out, no exporter environment here", value: 0, unit: "rows" },
    { name: `${made.rows.length} rows of ${steps} steps: farm`, value: run.seconds, unit: "s" },
    ...(await farmMetricFigures(farm, run)),
  ];
}

type Sides = { readonly farm: TestFarm; readonly loop: PlainLoop; readonly made: BenchSuite; readonly steps: number };

async function sideBySide({ farm, loop, made, steps }: Sides): Promise<readonly Figure[]> {
  const count = made.rows.length;
  const half = Math.ceil(count / 2);
  const before = await loop.render(0, half);
  const run = await runSuite(farm, made, steps);
  const rows = [...before, ...(half < count ? await loop.render(half, count) : [])];
  const loopSeconds = sum(rows.map(({ seconds }) => seconds));
  const what = `${count} rows of ${steps} steps, all metrics`;
  return [
    { name: `${what}: farm`, value: run.seconds, unit: "s" },
    { name: `${what}: plain loop`, value: loopSeconds, unit: "s" },
    { name: "plain loop against farm", value: loopSeconds / run.seconds, unit: "x", goal: "≥ 2" },
    ...(await farmMetricFigures(farm, run)),
    ...loopMetricFigures(rows),
    ...held([
      ...(await pixelFigures(loop, await tensorsOf(farm, run))),
      ...metricFigures(run.items, await scoredAgain(farm, run, { loop, made })),
    ]),
  ];
}

async function farmMetricFigures(farm: TestFarm, run: FarmRun): Promise<readonly Figure[]> {
  const scores = run.items.flatMap(({ stages }) => stages.filter(({ stage }) => stage.startsWith("score/")));
  const decodes = await decodesOf(farm, run);
  const perVideo = (value: number): number => value / run.items.length;
  const own = run.items.flatMap(({ stages }) => stages.filter(({ isReused }) => !isReused));
  const [computed, loaded] = [sum(own.map((one) => one.computeSeconds)), sum(own.map((one) => one.loadSeconds))];
  return [
    { name: "farm: seconds of stages, summed over rows", value: computed, unit: "s" },
    { name: "farm: seconds of loading engines", value: loaded, unit: "s" },
    { name: "farm: metric seconds per video", value: perVideo(sum(scores.map((one) => one.computeSeconds))), unit: "s" },
    { name: "farm: of them decoding", value: perVideo(decodes.seconds), unit: "s" },
    { name: `farm: decodes per video, of ${metricNames.length} metrics`, value: perVideo(decodes.count), unit: "", goal: "≤ 2" },
  ];
}

function loopMetricFigures(rows: readonly LoopRow[]): readonly Figure[] {
  const scores = rows.flatMap(({ metrics }) => Object.values(metrics));
  const decoding = sum(scores.map((one) => one.decode_seconds)) / rows.length;
  const computing = sum(scores.map((one) => one.seconds)) / rows.length;
  return [
    { name: "plain loop: metric seconds per video", value: decoding + computing, unit: "s" },
    { name: "plain loop: of them decoding, once a metric", value: decoding, unit: "s" },
  ];
}

type Held = Figure & { readonly most: number };

/** The figures with their bounds, and how many are beyond: then the benchmark fails, once everything is printed. */
function held(figures: readonly Held[]): readonly Figure[] {
  const beyond = figures.filter(({ value, most }) => !(value <= most)).length;
  if (beyond > 0) process.exitCode = 1;
  const shown = figures.map(({ most, ...figure }): Figure => ({ ...figure, goal: `≤ ${most}` }));
  return [...shown, { name: "differences beyond their bound", value: beyond, unit: "", goal: "0" }];
}

async function pixelFigures(loop: PlainLoop, rows: readonly ReadonlyMap<string, Tensor>[]): Promise<readonly Held[]> {
  const worst = { latents: 0, frames: 0 };
  let largest = 0;
  for (const [row, tensors] of rows.entries()) {
    const own = await loop.tensors(row);
    for (const value of numbers(own.get("latents"))) largest = Math.max(largest, Math.abs(value));
    for (const name of ["latents", "frames"] as const)
      worst[name] = Math.max(worst[name], maxDifference(numbers(own.get(name)), numbers(tensors.get(name))));
  }
  return [
    { name: `worst difference of latents, of up to ${largest.toPrecision(3)}`, value: worst.latents, unit: "", most: 5e-4 },
    { name: "worst difference of frames", value: worst.frames, unit: "levels", most: 1 },
  ];
}

function numbers(tensor: Tensor | undefined): Float32Array | Uint8Array {
  if (tensor === undefined || tensor.dtype === "int64") throw new TypeError("a row has no such tensor");
  return tensor.data;
}

async function scoredAgain(farm: TestFarm, run: FarmRun, { loop, made }: Pick<Sides, "loop" | "made">): Promise<readonly LoopRow[]> {
  const folder = join(made.folder, "farm");
  await downloadClips(farm, run, folder);
  return loop.score(folder);
}

function metricFigures(items: readonly RunItem[], rows: readonly LoopRow[]): readonly Held[] {
  return metricNames.map((metric) => ({
    name: `worst difference of ${metric}`,
    value: Math.max(...rows.map((row, index) => Math.abs(farmValue(items[index], metric) - loopValue(row, metric)))),
    unit: "",
    most: metricTolerances[metric],
  }));
}

function farmValue(item: RunItem | undefined, metric: MetricName): number {
  const number = Metric[`METRIC_${metric.toUpperCase() as Uppercase<MetricName>}`];
  const score = item?.scores.find((one) => one.metric === number);
  return score?.status === ScoreStatus.SCORE_STATUS_OK ? (score.value ?? Number.NaN) : Number.NaN;
}

function loopValue({ metrics }: LoopRow, metric: MetricName): number {
  const { value } = metrics[metric];
  return value === null ? Number.NaN : Number(value);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
