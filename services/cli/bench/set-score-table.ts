/**
 * What the clips of a run come to, a line per metric: both aggregators, and how many clips have no value.
 */
import { type MetricName, metricNames } from "../../domain/vbench/metric.ts";
import { Aggregator, type SetScore } from "../../gen/proto/vapfarm/v1/bench.ts";
import { type Column, renderTable, type TableOptions } from "../table.ts";
import { metricNameOf } from "./metric-words.ts";

/** One metric over a set, on VBench's scale of sets. */
export type SetScoreRow = {
  readonly metric: MetricName;
  /** Each clip counts once; undefined: no clip has a value. */
  readonly videoMean: number | undefined;
  /** Each compared frame counts once; undefined where that is not another way. */
  readonly frameWeighted: number | undefined;
  /** Which of them one process of VBench writes. */
  readonly vbench: "video_mean" | "frame_weighted";
  readonly count: number;
  readonly missing: number;
};

/** In the order of metrics. */
export function setScoreRows(scores: readonly SetScore[]): readonly SetScoreRow[] {
  return metricNames.flatMap((metric) => {
    const own = scores.filter((score) => metricNameOf(score.metric) === metric);
    const video = own.find(({ aggregator }) => aggregator === Aggregator.AGGREGATOR_VIDEO_MEAN);
    const frames = own.find(({ aggregator }) => aggregator === Aggregator.AGGREGATOR_FRAME_WEIGHTED);
    const any = video ?? frames;
    if (any === undefined) return [];
    const vbench = frames?.isVbench === true ? "frame_weighted" : "video_mean";
    return [{ metric, videoMean: video?.value, frameWeighted: frames?.value, vbench, count: any.count, missing: any.missingCount }];
  });
}

/** What one process of VBench would have written for the set. */
export function vbenchValueOf({ vbench, videoMean, frameWeighted }: SetScoreRow): number | undefined {
  return vbench === "frame_weighted" ? frameWeighted : videoMean;
}

/** Whether the two ways of counting give different numbers. */
export function doAggregatorsDiffer({ videoMean, frameWeighted }: SetScoreRow): boolean {
  return videoMean !== undefined && frameWeighted !== undefined && Math.abs(videoMean - frameWeighted) > 1e-12;
}

const columns: readonly Column<SetScoreRow>[] = [
  { title: "metric", cell: ({ metric }) => metric, weight: 6 },
  { title: "value", cell: (row) => numberText(vbenchValueOf(row)), align: "right", weight: 5 },
  { title: "clips", cell: ({ count }) => String(count), align: "right", weight: 4 },
  {
    title: "missing",
    cell: ({ missing }) => (missing === 0 ? "" : { text: String(missing), format: "yellow" }),
    align: "right",
    weight: 4,
  },
  { title: "other aggregate", cell: otherText, weight: 2 },
];

function otherText(row: SetScoreRow): string {
  if (!doAggregatorsDiffer(row)) return "";
  return row.vbench === "video_mean" ? `frame-weighted ${numberText(row.frameWeighted)}` : `mean of clips ${numberText(row.videoMean)}`;
}

/** The table; empty text where nothing was measured. */
export function setScoreTable(scores: readonly SetScore[], options: TableOptions = {}): string {
  const rows = setScoreRows(scores);
  return rows.length === 0 ? "" : renderTable(rows, columns, options);
}

/** Five decimals; a dash for no number. */
export function numberText(value: number | undefined, decimals = 5): string {
  return value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(decimals);
}
