/**
 * A run as VBench's two files: `*_eval_results.json` and `*_full_info.json`.
 *
 * Pure. Clips are named as `bench run --out` names them (clip-names.ts), so a folder of those is what the files speak of. The set's value
 * is what one process of VBench would have written. clip_score is no dimension of VBench's and stays out; so does a clip that VBench would
 * have stopped at, or that was never scored, and both are told.
 */
import { evalVideo, type EvalDimension, type EvalVideo, writeEvalResults } from "../../domain/vbench/eval-results.ts";
import { type FullInfoEntry, writeFullInfo } from "../../domain/vbench/full-info.ts";
import { type MetricExtra, type MetricName, metricNames, type MetricOutcome } from "../../domain/vbench/metric.ts";
import { type GetRunResponse, type RunItem, type Score, ScoreStatus } from "../../gen/proto/vapfarm/v1/bench.ts";
import { clipName, digitsOf } from "./clip-names.ts";
import { clipScale, metricNameOf } from "./metric-words.ts";
import { nameOf } from "./run-outputs.ts";
import { setScoreRows, vbenchValueOf } from "./set-score-table.ts";

/** The texts of both files, and what is not in them. */
export type VbenchFiles = { readonly evalResults: string; readonly fullInfo: string; readonly notes: readonly string[] };

type NamedClip = { readonly item: RunItem; readonly path: string };

/** The files of a run. */
export function vbenchFiles({ setScores }: GetRunResponse, items: readonly RunItem[]): VbenchFiles {
  const digits = digitsOf(Math.max(0, ...items.map(({ row }) => row?.position ?? 0)));
  const clips = items
    .filter(({ videoSha256 }) => videoSha256 !== "")
    .map((item) => ({ item, path: `${clipName(nameOf(item), digits)}.mp4` }));
  const sets = new Map(setScoreRows(setScores).map((row) => [row.metric, vbenchValueOf(row)]));
  const scored = metricNames.filter((metric) => metric !== "clip_score" && clips.some(({ item }) => scoreOf(item, metric) !== undefined));
  const dimensions = scored.flatMap((metric) => dimensionOf(metric, clips, sets.get(metric)));
  const missing = scored.flatMap((metric) => {
    const count = clips.length - (dimensions.find(({ dimension }) => dimension === metric)?.videos.length ?? 0);
    return count === 0 ? [] : [`${metric}: ${count} of ${clips.length} clips have no value that VBench would have written`];
  });
  const hasClipScore = clips.some(({ item }) => scoreOf(item, "clip_score") !== undefined);
  return {
    evalResults: writeEvalResults(dimensions),
    fullInfo: writeFullInfo(clips.map((clip) => fullInfoOf(clip, scored))),
    notes: [...missing, ...(hasClipScore ? ["clip_score is no dimension of VBench's: it is not in the files"] : [])],
  };
}

function fullInfoOf({ item: { row }, path }: NamedClip, dimensions: readonly MetricName[]): FullInfoEntry {
  const image = dimensions.includes("i2v_subject") && row !== undefined ? { imagePath: row.targetPath } : {};
  return { prompt: row?.caption ?? "", dimensions, videos: [path], ...image };
}

function dimensionOf(metric: MetricName, clips: readonly NamedClip[], setValue: number | undefined): readonly EvalDimension[] {
  const outcomes = clips.flatMap(({ item, path }) => {
    const outcome = outcomeOf(scoreOf(item, metric));
    return outcome === undefined ? [] : [{ outcome, path, imagePath: item.row?.targetPath ?? "" }];
  });
  const videos = outcomes.flatMap(({ outcome, path, imagePath }) => {
    const video = evalVideo(metric, path, outcome);
    if (video === undefined) return [];
    return [metric === "i2v_subject" ? { ...video, imagePath } : video];
  });
  if (videos.length === 0) return [];
  const isPlain = outcomes.every(({ outcome }) => outcome.status === "ok" || evalVideo(metric, "", outcome) === undefined);
  return [{ dimension: metric, setScore: isPlain && setValue !== undefined ? setValue : meanOf(metric, videos), videos }];
}

/** The mean of what is written, NaN with one of them: as VBench has it where it writes what is no score. */
function meanOf(metric: MetricName, videos: readonly EvalVideo[]): number {
  return videos.reduce((sum, { result }) => sum + Number(result), 0) / videos.length / clipScale(metric);
}

function scoreOf({ scores }: RunItem, metric: MetricName): Score | undefined {
  return scores.find((score) => metricNameOf(score.metric) === metric);
}

function outcomeOf(score: Score | undefined): MetricOutcome | undefined {
  if (score === undefined) return undefined;
  const details = { series: {}, extra: extraOf(score.extraJson) };
  if (score.status === ScoreStatus.SCORE_STATUS_OK && score.value !== undefined) return { status: "ok", value: score.value, ...details };
  const status = absences[score.status];
  if (status === undefined) return undefined;
  return { status, reason: score.reason, ...details, ...(score.vbenchValue === undefined ? {} : { vbenchValue: score.vbenchValue }) };
}

const absences: Readonly<Partial<Record<ScoreStatus, "nan" | "skipped">>> = {
  [ScoreStatus.SCORE_STATUS_NAN]: "nan",
  [ScoreStatus.SCORE_STATUS_SKIPPED]: "skipped",
};

/** What cannot be read adds nothing. */
function extraOf(json: string): MetricExtra {
  try {
    const value: unknown = json === "" ? {} : JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as MetricExtra) : {};
  } catch {
    return {};
  }
}
