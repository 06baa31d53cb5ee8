/**
 * score/<metric>: a clip → what a metric says of it. Inputs "video", and "image" where the metric needs one. Output: JSON, named as the metric.
 *
 * What cannot be measured (too few frames, frames too small, numbers that are none) is a result with a reason, not a failure: it would be the
 * same on every worker.
 */
import { createHash } from "node:crypto";
import { type MetricName, metricNeeds, type MetricOutcome, metricVersions, withFormatNote } from "../../../../domain/vbench/metric.ts";
import type { ScoreWork, StageScore } from "../../stage-run.ts";
import type { StageContext } from "../stage-context.ts";
import type { StageMade } from "../stage-made.ts";
import {
  measureAesthetic,
  measureBackground,
  measureFlickering,
  measureI2vSubject,
  measureImaging,
  measureSubject,
} from "./frame-measures.ts";
import type { Measure } from "./measure.ts";
import { measureDynamic, measureSmoothness } from "./motion-measures.ts";
import { measureClipScore, measureOverall } from "./text-measures.ts";

const measures: Readonly<Record<MetricName, Measure>> = {
  temporal_flickering: measureFlickering,
  subject_consistency: measureSubject,
  background_consistency: measureBackground,
  motion_smoothness: measureSmoothness,
  dynamic_degree: measureDynamic,
  aesthetic_quality: measureAesthetic,
  imaging_quality: measureImaging,
  overall_consistency: measureOverall,
  i2v_subject: measureI2vSubject,
  clip_score: measureClipScore,
};

/** Measures; the score is also told to the context, so that it is committed with the run. */
export async function score(context: StageContext, { metric, prompt }: ScoreWork): Promise<readonly StageMade[]> {
  const { stream, engines } = metricNeeds[metric];
  const { clip, decoder, decodeMs } = await context.clip("video", stream);
  const outcome = withFormatNote(await measures[metric]({ context, clip, prompt }), metric, clip.facts.isGif);
  const modelDigest = digestOver(engines.map((engine) => context.engineDigests[engine] ?? ""));
  const told = { metric, outcome, modelDigest, decodeProfile: `${stream}/${decoder}`, clip: clip.facts, decodeMs };
  context.tellScore(told);
  return [{ kind: "json", name: metric, bytes: new TextEncoder().encode(scoreText(told)) }];
}

function digestOver(digests: readonly string[]): string {
  const [first = "", ...others] = digests;
  return others.length === 0 ? first : createHash("sha256").update(digests.join(" ")).digest("hex");
}

/** The score as a file; how long it took is not in it, so that equal scores are equal bytes. */
function scoreText({ metric, outcome, modelDigest, decodeProfile, clip }: StageScore): string {
  const { series, extra } = outcome;
  const facts = { frames: clip.frameCount, width: clip.width, height: clip.height, fps: `${clip.fps.numerator}/${clip.fps.denominator}` };
  const made = { variant: metricNeeds[metric].variant ?? "", model_digest: modelDigest, decode_profile: decodeProfile };
  const value = { metric, version: metricVersions[metric], ...made, ...valueOf(outcome), clip: facts, extra, series };
  return `${JSON.stringify(value, undefined, 1)}\n`;
}

function valueOf(outcome: MetricOutcome): object {
  if (outcome.status === "ok") return { status: outcome.status, value: outcome.value };
  return { status: outcome.status, reason: outcome.reason, vbench_value: outcome.vbenchValue };
}
