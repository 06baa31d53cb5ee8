/**
 * A report as CSV: one line per row and metric, also where there is no value.
 */
import { metricNames } from "../../../domain/vbench/metric.ts";
import { writeCsv } from "../csv.ts";
import type { ClipRow } from "./clip-rows.ts";
import { whyMissing } from "./metric-summary.ts";
import type { ReportModel } from "./model.ts";

const header = [
  ...["run_id", "render_position", "row", "seed_index", "seed", "kind", "name", "target_path", "caption", "state"],
  ...["metric", "status", "value", "reason", "vbench_value", "metric_version", "variant", "model_digest", "decode_profile"],
  ...["frames", "width", "height"],
];

/** The file's text. */
export function reportCsv({ run, metrics, clips }: ReportModel): string {
  const asked = metricNames.filter((name) => metrics.some(({ metric }) => metric === name));
  return writeCsv([
    header,
    ...clips.flatMap((clip) => asked.map((metric) => [run.runId, ...clipCells(clip), metric, ...scoreCells(clip, metric)])),
  ]);
}

function clipCells({ renderPosition, row, seedIndex, seed, kind, name, targetPath, caption, state }: ClipRow): readonly string[] {
  return [String(renderPosition), String(row), String(seedIndex), seed, kind, name, targetPath, caption, state];
}

function scoreCells(clip: ClipRow, metric: (typeof metricNames)[number]): readonly string[] {
  const score = clip.scores[metric];
  if (score?.value === undefined) {
    const { status, reason } = whyMissing(clip, metric);
    return [status, "", reason, textOf(score?.vbenchValue), ...factCells(clip, metric)];
  }
  return ["ok", String(score.value), "", textOf(score.vbenchValue), ...factCells(clip, metric)];
}

function factCells(clip: ClipRow, metric: (typeof metricNames)[number]): readonly string[] {
  const score = clip.scores[metric];
  if (score === undefined) return ["", "", "", "", "", "", ""];
  const { metricVersion, variant, modelDigest, decodeProfile, frames, width, height } = score;
  return [String(metricVersion), variant, modelDigest, decodeProfile, String(frames), String(width), String(height)];
}

function textOf(value: number | undefined): string {
  return value === undefined ? "" : String(value);
}
