/**
 * How far values of two computations of a metric over the same frames may lie apart (spec vbench §7.2, against a CPU).
 */
import type { MetricName } from "../../../services/domain/vbench/metric.ts";

/** On VBench's scale of clips, imaging_quality's 1e-4 of 0..1 on its 0..100; the CLIP score, which §7.2 has not, as overall_consistency. */
export const metricTolerances: Readonly<Record<MetricName, number>> = {
  temporal_flickering: 1e-8,
  subject_consistency: 1e-5,
  background_consistency: 1e-5,
  motion_smoothness: 1e-4,
  dynamic_degree: 0,
  aesthetic_quality: 1e-5,
  imaging_quality: 1e-2,
  overall_consistency: 1e-5,
  i2v_subject: 1e-5,
  clip_score: 1e-5,
};
