/**
 * A set's score from its videos', under both aggregates that VBench has (spec vbench §0.1, §1, §3).
 *
 * `video_mean`: each video counts once. `frame_weighted`: each frame (or pair) counts once. subject_consistency is frame-weighted in VBench on one GPU and
 * a video mean on several, background_consistency frame-weighted in both, all else a video mean. Only here is imaging_quality divided by 100.
 */
import type { MetricName } from "./metric.ts";

export const aggregators = ["video_mean", "frame_weighted"] as const;
export type Aggregator = (typeof aggregators)[number];

/** A video that has a value. */
export type SetVideo = {
  readonly value: number;
  /** Frames or pairs that the value is the mean of. */
  readonly count?: number;
  /** Their sum, where it is known: value·count may be a last bit off. */
  readonly sum?: number;
};

export type SetScore = { readonly value: number; readonly n: number };
export type SetScores = Readonly<Partial<Record<Aggregator, SetScore>>>;

const frameWeighted: readonly MetricName[] = ["subject_consistency", "background_consistency"];
const imagingScale = 100;

/** Which aggregate VBench on one GPU answers with. */
export function vbenchAggregator(metric: MetricName): Aggregator {
  return frameWeighted.includes(metric) ? "frame_weighted" : "video_mean";
}

/** Both aggregates; without videos there is none, and without every video's count no frame-weighted one. */
export function setScores(metric: MetricName, videos: readonly SetVideo[]): SetScores {
  const n = videos.length;
  if (n === 0) return {};
  const scale = metric === "imaging_quality" ? imagingScale : 1;
  const total = (of: (video: SetVideo) => number): number => videos.reduce((sum, video) => sum + of(video), 0);
  const mean = { value: total(({ value }) => value) / n / scale, n };
  const frames = total(({ count }) => count ?? NaN);
  if (!(frames > 0)) return { video_mean: mean };
  const sum = total(({ value, count = NaN, sum: known = value * count }) => known);
  return { video_mean: mean, frame_weighted: { value: sum / frames / scale, n } };
}
