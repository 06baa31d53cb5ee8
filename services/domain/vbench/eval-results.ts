/**
 * Writing VBench's `<name>_eval_results.json` (vbench/__init__.py; spec vbench §2.1), which its own tools read.
 *
 * Each dimension is [set score, list of videos]. Scales are VBench's: imaging_quality's set score is 0..1 and its videos' 0..100, dynamic_degree's videos are
 * booleans. A video without a value is written where VBench would have written something, and left out where it would have stopped.
 */
import type { MetricName, MetricOutcome } from "./metric.ts";
import { pythonJson, type PythonValue } from "./python-json.ts";

/** One video of a dimension; NaN is written bare, as Python writes it. */
export type EvalVideo = {
  readonly videoPath: string;
  /** Written before the video's path by VBench-I2V. */
  readonly imagePath?: string;
  readonly result: number | boolean;
  readonly extra?: Readonly<Record<string, PythonValue>>;
};

export type EvalDimension = { readonly dimension: string; readonly setScore: number; readonly videos: readonly EvalVideo[] };

/** The text of the file, dimensions and videos in the order given. */
export function writeEvalResults(dimensions: readonly EvalDimension[]): string {
  return pythonJson(
    Object.fromEntries(dimensions.map(({ dimension, setScore, videos }) => [dimension, [setScore, videos.map(videoEntry)]])),
  );
}

function videoEntry({ imagePath, videoPath, result, extra }: EvalVideo): PythonValue {
  return { ...(imagePath === undefined ? {} : { image_path: imagePath }), video_path: videoPath, video_results: result, ...extra };
}

/** A video's row of a dimension, or nothing where VBench would have stopped instead. */
export function evalVideo(metric: MetricName, videoPath: string, outcome: MetricOutcome): EvalVideo | undefined {
  const value = vbenchNumber(metric, outcome);
  if (value === undefined) return undefined;
  return { videoPath, result: metric === "dynamic_degree" ? value !== 0 : value, ...extraOf(metric, outcome) };
}

function vbenchNumber(metric: MetricName, outcome: MetricOutcome): number | undefined {
  if (outcome.status === "ok") return outcome.value;
  if (outcome.vbenchValue !== undefined) return outcome.vbenchValue;
  return outcome.status === "nan" && metric !== "dynamic_degree" ? NaN : undefined;
}

function extraOf(metric: MetricName, { extra }: MetricOutcome): { readonly extra?: Readonly<Record<string, PythonValue>> } {
  const { video_sim: sum, cnt_per_video: count } = extra;
  if (metric !== "background_consistency" || typeof sum !== "number" || typeof count !== "number") return {};
  return { extra: { video_sim: sum, cnt_per_video: BigInt(count) } };
}
