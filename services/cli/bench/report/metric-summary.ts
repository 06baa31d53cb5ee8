/**
 * Each metric over the clips of a run: the set's value under both aggregators, how sure its mean is, and why clips have no value.
 */
import { bootstrapMean, type Interval } from "../../../domain/vbench/bootstrap.ts";
import { type MetricName, metricNames } from "../../../domain/vbench/metric.ts";
import type { SetScore } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { clipScale, metricTitle } from "../metric-words.ts";
import { setScoreRows, vbenchValueOf } from "../set-score-table.ts";
import { type ClipRow, valueOf } from "./clip-rows.ts";

/** Why so many clips have no value. */
export type MissingReason = { readonly status: string; readonly reason: string; readonly count: number };

/** One metric, on VBench's scale of sets. */
export type MetricSummary = {
  readonly metric: MetricName;
  readonly title: string;
  /** E.g. "clip_b32_middle8"; empty: VBench's own. */
  readonly variant: string;
  /** What one process of VBench would have written; absent where no clip has a value. */
  readonly value?: number;
  readonly aggregator: "video_mean" | "frame_weighted";
  readonly videoMean?: number;
  readonly frameWeighted?: number;
  /** Percentile bootstrap of the mean of clips, 95 %. */
  readonly interval?: Interval;
  readonly count: number;
  readonly missing: number;
  readonly reasons: readonly MissingReason[];
};

/** A report is the same each time it is made. */
export const bootstrapSeed = 20_251_020;

/** Of every metric that was asked for or has a score, in the order of metrics. */
export function summarizeMetrics(
  clips: readonly ClipRow[],
  setScores: readonly SetScore[],
  asked: readonly MetricName[],
): readonly MetricSummary[] {
  const sets = new Map(setScoreRows(setScores).map((row) => [row.metric, row]));
  return metricNames
    .filter((metric) => asked.includes(metric) || sets.has(metric) || clips.some(({ scores }) => scores[metric] !== undefined))
    .map((metric) => {
      const set = sets.get(metric);
      const values = clips.flatMap((clip) => valueOf(clip, metric) ?? []).map((value) => value / clipScale(metric));
      const { interval } = bootstrapMean(values, { seed: bootstrapSeed });
      const reasons = missingReasons(clips, metric);
      return {
        metric,
        title: metricTitle(metric),
        variant: clips.map(({ scores }) => scores[metric]?.variant ?? "").find((variant) => variant !== "") ?? "",
        ...defined({ value: set === undefined ? undefined : vbenchValueOf(set) }),
        aggregator: set?.vbench ?? "video_mean",
        ...defined({ videoMean: set?.videoMean, frameWeighted: set?.frameWeighted, interval }),
        count: values.length,
        missing: reasons.reduce((sum, { count }) => sum + count, 0),
        reasons,
      };
    });
}

/** Without what is undefined, so that the JSON and the type say the same. */
function defined<T extends object>(fields: T): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    readonly [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** The commonest first. A clip that was never made is a reason too. */
function missingReasons(clips: readonly ClipRow[], metric: MetricName): readonly MissingReason[] {
  const counts = new Map<string, MissingReason>();
  for (const clip of clips) {
    if (valueOf(clip, metric) !== undefined) continue;
    const { status, reason } = whyMissing(clip, metric);
    const key = JSON.stringify([status, reason]);
    counts.set(key, { status, reason, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()].sort((left, right) => right.count - left.count || left.reason.localeCompare(right.reason));
}

/** Why a clip has no value of a metric. */
export function whyMissing({ scores, state, failure }: ClipRow, metric: MetricName): { readonly status: string; readonly reason: string } {
  const score = scores[metric];
  if (score !== undefined && score.status !== "pending") return { status: score.status, reason: score.reason ?? "no reason was told" };
  if (failure !== undefined) return { status: "no clip", reason: `the render failed in ${failure.stage}: ${failure.code}` };
  if (state === "cancelled") return { status: "no clip", reason: "the render was cancelled" };
  return { status: "pending", reason: "not computed yet" };
}
