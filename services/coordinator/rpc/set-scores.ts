/**
 * What the clips of a run come to: set scores under both aggregates, and VBench's final scores of them.
 */
import { finalScores } from "../../domain/vbench/final-scores.ts";
import type { MetricName } from "../../domain/vbench/metric.ts";
import { aggregators, setScores, type SetVideo, vbenchAggregator } from "../../domain/vbench/set-scores.ts";
import type { FinalScores } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { MetricClips, RunView, StoredSetScore } from "../store/store-contract.ts";

/** Of each of the run's metrics both aggregates; one that there is not has no value. */
export function setScoresOf({ metrics }: Pick<RunView, "metrics">, clips: readonly MetricClips[]): readonly StoredSetScore[] {
  return metrics.flatMap((metric) => {
    const own = clips.find((one) => one.metric === metric);
    const videos = own === undefined ? [] : videosOf(own);
    const scores = setScores(metric, videos);
    return aggregators.map((aggregator) => ({
      metric,
      aggregator,
      value: scores[aggregator]?.value,
      count: videos.length,
      missingCount: own?.missing ?? 0,
    }));
  });
}

/** Metrics whose value is the mean of one number for each frame. */
const ofEachFrame: readonly MetricName[] = ["aesthetic_quality", "imaging_quality"];

function videosOf({ metric, values, facts }: MetricClips): readonly SetVideo[] {
  return values.map((value, index) => {
    const frames = ofEachFrame.includes(metric) ? facts.frames[index] : undefined;
    const count = facts.cnt_per_video[index] ?? facts.pairs[index] ?? frames ?? undefined;
    const sum = facts.video_sim[index] ?? undefined;
    return { value, ...(count === undefined ? {} : { count }), ...(sum === undefined ? {} : { sum }) };
  });
}

/** Quality, Semantic and Total from what one process of VBench would have written. */
export function finalScoresOf(scores: readonly StoredSetScore[]): FinalScores {
  const measured = scores.flatMap(({ metric, aggregator, value }) =>
    value !== undefined && aggregator === vbenchAggregator(metric) ? [[metric, value] as const] : [],
  );
  const { quality, second: semantic, total, missing } = finalScores(Object.fromEntries(measured));
  return { quality, semantic, total, missing: [...missing] };
}
