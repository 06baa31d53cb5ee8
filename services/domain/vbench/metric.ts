/**
 * The metrics that the farm computes, what each needs, and what an outcome is.
 *
 * An outcome's numbers are finite: what has no number has a status and a reason that names the frame or pair. Where VBench would answer all the
 * same, `vbenchValue` is its answer. Values are on VBench's per-video scale: imaging_quality 0..100, booleans 0 or 1, all else about 0..1.
 */
import { FarmError } from "../errors.ts";

/** Nine dimensions of VBench and VBench-I2V, and its competition's CLIP score. */
export const metricNames = [
  "temporal_flickering",
  "subject_consistency",
  "background_consistency",
  "motion_smoothness",
  "dynamic_degree",
  "aesthetic_quality",
  "imaging_quality",
  "overall_consistency",
  "i2v_subject",
  "clip_score",
] as const;
export type MetricName = (typeof metricNames)[number];

export type MetricSeries = Readonly<Record<string, readonly number[]>>;
export type MetricExtra = Readonly<Record<string, number | string | boolean>>;

/** What was measured on the way: per frame or pair, so that thresholds can be applied anew without a GPU; and facts of the whole clip. */
export type MetricDetails = { readonly series: MetricSeries; readonly extra: MetricExtra };

export type MetricValue = MetricDetails & { readonly status: "ok"; readonly value: number };

/** `nan`: something that was measured is no number; `skipped`: there was nothing to measure. */
export type MetricAbsence = MetricDetails & {
  readonly status: "nan" | "skipped";
  readonly reason: string;
  /** What VBench writes for this clip, where it writes a number or boolean. */
  readonly vbenchValue?: number;
};

export type MetricOutcome = MetricValue | MetricAbsence;

/** Networks at the boundaries of spec vbench §7.1, as a score model's folder names them. */
export const metricEngines = [
  "dino_b16",
  "clip_b32_image",
  "clip_b32_text",
  "clip_l14_image",
  "musiq_spaq",
  "amt_s",
  "raft_things",
  "viclip_video",
  "viclip_text",
] as const;
export type MetricEngine = (typeof metricEngines)[number];

export type MetricNeeds = {
  readonly engines: readonly MetricEngine[];
  /** `rgb` honours the colour tags, as decord does; `bt601` ignores the matrix, as OpenCV does (spec vbench §0.4, §1.0). */
  readonly stream: "rgb" | "bt601";
  readonly needsPrompt: boolean;
  readonly needsImage: boolean;
  /** The container's frame rate changes the value. */
  readonly needsFrameRate: boolean;
  /** The exact way of computing, where the name leaves it open. */
  readonly variant?: string;
};

const none = { needsPrompt: false, needsImage: false, needsFrameRate: false };

/** What must be there before a metric can be computed. */
export const metricNeeds: Readonly<Record<MetricName, MetricNeeds>> = {
  temporal_flickering: { ...none, engines: [], stream: "bt601" },
  subject_consistency: { ...none, engines: ["dino_b16"], stream: "rgb" },
  background_consistency: { ...none, engines: ["clip_b32_image"], stream: "rgb" },
  motion_smoothness: { ...none, engines: ["amt_s"], stream: "bt601" },
  dynamic_degree: { ...none, engines: ["raft_things"], stream: "bt601", needsFrameRate: true },
  aesthetic_quality: { ...none, engines: ["clip_l14_image"], stream: "rgb" },
  imaging_quality: { ...none, engines: ["musiq_spaq"], stream: "rgb" },
  overall_consistency: { ...none, engines: ["viclip_video", "viclip_text"], stream: "rgb", needsPrompt: true },
  i2v_subject: { ...none, engines: ["dino_b16"], stream: "rgb", needsImage: true },
  clip_score: { ...none, engines: ["clip_b32_image", "clip_b32_text"], stream: "rgb", needsPrompt: true, variant: "clip_b32_middle8" },
};

/** Raised when the same clip may get another value. */
export const metricVersions: Readonly<Record<MetricName, number>> = {
  temporal_flickering: 1,
  subject_consistency: 1,
  background_consistency: 1,
  motion_smoothness: 1,
  dynamic_degree: 1,
  aesthetic_quality: 1,
  imaging_quality: 1,
  overall_consistency: 1,
  i2v_subject: 1,
  clip_score: 1,
};

/** VBench raises on a GIF here, because its reader knows .mp4 and folders alone; the farm scores the decoded frames. */
export const metricsWithoutGif: readonly MetricName[] = ["motion_smoothness", "dynamic_degree"];

/** Tells whether a text names a metric. */
export function isMetricName(name: string): name is MetricName {
  return (metricNames as readonly string[]).includes(name);
}

/** The outcome with the remark that VBench would have refused the file, where it is a GIF that it would have refused. */
export function withFormatNote(outcome: MetricOutcome, metric: MetricName, isGif: boolean): MetricOutcome {
  if (!isGif || !metricsWithoutGif.includes(metric)) return outcome;
  return { ...outcome, extra: { ...outcome.extra, note: "VBench refuses GIF here (NotImplementedError)" } };
}

export function absent(
  status: MetricAbsence["status"],
  reason: string,
  details: Partial<Omit<MetricAbsence, "status" | "reason">> = {},
): MetricAbsence {
  return { status, reason, series: {}, extra: {}, ...details };
}

/** Where the first number is that is none, or −1. */
export function firstNotFinite(values: ArrayLike<number>): number {
  for (let index = 0; index < values.length; index += 1) {
    if (!Number.isFinite(values[index])) return index;
  }
  return -1;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Refuses frames that are not uint8 [height,width,3]. */
export function requireFrameBytes(pixels: Uint8Array, { height, width }: { readonly height: number; readonly width: number }): void {
  if (pixels.length === height * width * 3) return;
  throw new FarmError("STAGE_INPUT_INVALID", { message: `a frame of ${width}x${height} RGB has other bytes than ${pixels.length}` });
}
