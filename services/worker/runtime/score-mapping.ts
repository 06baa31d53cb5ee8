/**
 * A score as the wire has it.
 */
import { metricNeeds, metricVersions } from "../../domain/vbench/metric.ts";
import type { MetricScore } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { StageScore } from "./stage-run.ts";

/** `onnxruntimeVersion` is of what ran the networks, where the metric has any. */
export function scoreToProto(
  { metric, outcome, modelDigest, decodeProfile, clip, decodeMs }: StageScore,
  onnxruntimeVersion: string,
): MetricScore {
  const { engines, variant = "" } = metricNeeds[metric];
  return {
    metric,
    metricVersion: metricVersions[metric],
    variant,
    modelDigest,
    runtime: engines.length === 0 ? "" : `onnxruntime-node ${onnxruntimeVersion}`,
    decodeProfile,
    status: outcome.status,
    value: outcome.status === "ok" ? outcome.value : undefined,
    reason: outcome.status === "ok" ? "" : outcome.reason,
    vbenchValue: outcome.status === "ok" ? undefined : outcome.vbenchValue,
    frames: clip.frameCount,
    fpsNumerator: clip.fps.numerator,
    fpsDenominator: clip.fps.denominator,
    width: clip.width,
    height: clip.height,
    series: Object.entries(outcome.series).map(([name, values]) => ({ name, values: [...values] })),
    extraJson: JSON.stringify(outcome.extra),
    decodeMs,
  };
}
