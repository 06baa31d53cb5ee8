/**
 * VBench's Quality, Semantic and Total, and VBench-I2V's, from set scores on VBench's scale (scripts/constant.py, cal_final_score.py,
 * cal_i2v_final_score.py; spec vbench §2.5).
 *
 * Scores are normalized by constants and not clamped. A missing dimension counts as a score of 0, as in VBench, which is below zero after
 * normalizing: what was missing is part of the answer, because such a total is no total.
 */

type Constants = { readonly min: number; readonly max: number; readonly weight: number };

const unit: Constants = { min: 0, max: 1, weight: 1 };

const qualityConstants: Readonly<Record<string, Constants>> = {
  subject_consistency: { min: 0.1462, max: 1, weight: 1 },
  background_consistency: { min: 0.2615, max: 1, weight: 1 },
  temporal_flickering: { min: 0.6293, max: 1, weight: 1 },
  motion_smoothness: { min: 0.706, max: 0.9975, weight: 1 },
  dynamic_degree: { ...unit, weight: 0.5 },
  aesthetic_quality: unit,
  imaging_quality: unit,
};

const semanticConstants: Readonly<Record<string, Constants>> = {
  object_class: unit,
  multiple_objects: unit,
  human_action: unit,
  color: unit,
  spatial_relationship: unit,
  scene: { ...unit, max: 0.8222 },
  appearance_style: { min: 0.0009, max: 0.2855, weight: 1 },
  temporal_style: { ...unit, max: 0.364 },
  overall_consistency: { ...unit, max: 0.364 },
};

const i2vQualityConstants: Readonly<Record<string, Constants>> = Object.fromEntries(
  Object.entries(qualityConstants).filter(([dimension]) => dimension !== "temporal_flickering"),
);

const i2vConstants: Readonly<Record<string, Constants>> = {
  camera_motion: { ...unit, weight: 0.1 },
  i2v_subject: { min: 0.1462, max: 1, weight: 1 },
  i2v_background: { min: 0.2615, max: 1, weight: 1 },
};

export type FinalScores = {
  readonly quality: number;
  /** Semantic of VBench, I2V of VBench-I2V. */
  readonly second: number;
  readonly total: number;
  /** Dimensions that counted as 0 for want of a score. */
  readonly missing: readonly string[];
  /** Dimensions that were given and do not count here. */
  readonly unused: readonly string[];
};

const qualityWeight = 4;

/** VBench's Quality, Semantic (`second`) and Total = (4·Quality + Semantic)/5. */
export function finalScores(setScores: Readonly<Record<string, number>>): FinalScores {
  const quality = weighted(setScores, qualityConstants);
  const second = weighted(setScores, semanticConstants);
  const total = (qualityWeight * quality + second) / (qualityWeight + 1);
  return { quality, second, total, ...accountOf(setScores, { ...qualityConstants, ...semanticConstants }) };
}

/** VBench-I2V's Quality, I2V (`second`) and Total = (Quality + I2V)/2; temporal_flickering is not part of it. */
export function i2vFinalScores(setScores: Readonly<Record<string, number>>): FinalScores {
  const quality = weighted(setScores, i2vQualityConstants);
  const second = weighted(setScores, i2vConstants);
  return { quality, second, total: (quality + second) / 2, ...accountOf(setScores, { ...i2vQualityConstants, ...i2vConstants }) };
}

function weighted(setScores: Readonly<Record<string, number>>, constants: Readonly<Record<string, Constants>>): number {
  let sum = 0;
  let weights = 0;
  for (const [dimension, { min, max, weight }] of Object.entries(constants)) {
    sum += (((scoreOf(setScores, dimension) ?? 0) - min) / (max - min)) * weight;
    weights += weight;
  }
  return sum / weights;
}

/** A score that is no number is none. */
function scoreOf(setScores: Readonly<Record<string, number>>, dimension: string): number | undefined {
  const score = Object.hasOwn(setScores, dimension) ? setScores[dimension] : undefined;
  return score !== undefined && Number.isFinite(score) ? score : undefined;
}

function accountOf(
  setScores: Readonly<Record<string, number>>,
  constants: Readonly<Record<string, Constants>>,
): Pick<FinalScores, "missing" | "unused"> {
  return {
    missing: Object.keys(constants).filter((dimension) => scoreOf(setScores, dimension) === undefined),
    unused: Object.keys(setScores).filter((dimension) => !Object.hasOwn(constants, dimension)),
  };
}
