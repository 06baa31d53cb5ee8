/**
 * Classifier-free guidance over text (spec §1.1.9, §1.2.6; pipeline_cogvideox_image2video_mot.py:839, 1033-1042, pipeline_wan_i2v_mot.py:826-874).
 *
 * Guided only when the base scale is above 1. Dynamic guidance takes g = 1 + scale · (1 − cos(π · ((N − t)/N)⁵)) / 2 with t up to 999 against N
 * steps: the cosine's argument reaches millions, so the values look random, and the last bit of the power decides them. Hence the power is
 * exact here and the terms of N = 50, the default, are stored as Python computed them.
 */
import { FarmError } from "../errors.ts";

/** Both prompts as rows of one call, negative first; or a call for each, positive first. */
export type GuidanceForm = "rows" | "calls";

type FormOfGuidance = {
  /** Of a guided step; an unguided one is one call of one row in every form. */
  readonly calls: number;
  readonly rows: number;
  /** Tells the answers apart, float32 [n] each. */
  readonly split: (answers: readonly Float32Array[]) => { readonly negative: Float32Array; readonly positive: Float32Array };
};

const forms: Readonly<Record<GuidanceForm, FormOfGuidance>> = {
  rows: { calls: 1, rows: 2, split: ([rows]) => halves(rows ?? new Float32Array()) },
  calls: {
    calls: 2,
    rows: 1,
    split: ([positive = new Float32Array(), negative = new Float32Array()]) => ({ negative, positive }),
  },
};

/** Calls of the model in a step, and rows in the answer of each. */
export function callsOf(form: GuidanceForm, isGuidedStep: boolean): { readonly calls: number; readonly rows: number } {
  return isGuidedStep ? forms[form] : { calls: 1, rows: 1 };
}

function halves(rows: Float32Array): { readonly negative: Float32Array; readonly positive: Float32Array } {
  const count = rows.length / 2;
  return { negative: rows.subarray(0, count), positive: rows.subarray(count) };
}

export type GuidanceSettings = {
  readonly steps: number;
  readonly guidanceScale: number;
  readonly dynamicGuidance: boolean;
};

/** (1 − cos(π · ((50 − t)/50)⁵)) / 2 for t = 999, 979, …, 19, in float64, from CPython 3.11 with glibc. */
const terms50: readonly number[] = [
  0.21524786242524202, 0.25725047779410526, 0.9957253053625805, 0.9033930705241398, 0.2980162548597991, 0.5453236551071123,
  0.0062662862901261, 0.5284000299780287, 0.10299578945258847, 0.9971878644724441, 0.0007981602287389089, 0.31199688361388767,
  0.9961341792366185, 0.10551644624900447, 0.5549578403603358, 0.23943357593276682, 0.8962172782050295, 0.8344733347587074,
  0.4079790123082859, 0.36634967302458865, 0.10912645632774376, 0.9350018171127035, 0.03245759096454953, 0.5492232962742296,
  0.9975622029287089, 0.08687761558377738, 0.12693955068491408, 0.009656255688210824, 0.5212511255229226, 0.08037881978087885,
  0.16709437395024224, 0.8246099125369664, 0.5238697876200752, 0.9217582668318915, 0.8566414146564916, 0.9999901698352406,
  0.8613998917515479, 0.019986669470144935, 0.18291770870639484, 0.9475010322370288, 0.9998691512769785, 0.2238696130346523,
  0.8687920335345556, 0.04175492410843146, 0.9999407512091194, 0.9773953020283033, 0.010592057801535548, 8.809774504348056e-8,
  6.553396840192072e-7, 0.020566323328163494,
];

/** Whether the model runs on the pair (negative, positive) instead of the positive prompt alone. */
export function isGuided(guidanceScale: number): boolean {
  return guidanceScale > 1;
}

/** The scale of each step, float64. */
export function guidanceScales(settings: GuidanceSettings, timesteps: readonly number[]): readonly number[] {
  requireFinite(settings.guidanceScale);
  if (!settings.dynamicGuidance) return timesteps.map(() => settings.guidanceScale);
  return timesteps.map((timestep) => 1 + settings.guidanceScale * cosineTerm(settings.steps, timestep));
}

/**
 * negative + g · (positive − negative) in float32, as torch does with a Python float: g is rounded first, then each operation.
 * `answers` are those of a guided step's calls, float32; the result is float32 [n].
 */
export function applyGuidance(form: GuidanceForm, answers: readonly Float32Array[], scale: number): Float32Array {
  const { negative, positive } = forms[form].split(answers);
  const scale32 = Math.fround(scale);
  const guided = new Float32Array(negative.length);
  for (let index = 0; index < guided.length; index += 1) {
    const from = negative[index] as number;
    const difference = Math.fround((positive[index] as number) - from);
    guided[index] = from + Math.fround(scale32 * difference);
  }
  return guided;
}

function cosineTerm(steps: number, timestep: number): number {
  const stored = steps === 50 && timestep % 20 === 19 ? terms50[(999 - timestep) / 20] : undefined;
  return stored ?? (1 - Math.cos(Math.PI * fifthPower((steps - timestep) / steps))) / 2;
}

/**
 * x⁵, correctly rounded. A double is an integer times a power of two: 80 fraction bits hold every quotient of such counts exactly, BigInt
 * multiplies exactly, and Number() rounds once.
 */
function fifthPower(x: number): number {
  return Number(BigInt(x * 2 ** 80) ** 5n) * 2 ** -400;
}

function requireFinite(guidanceScale: number): void {
  if (Number.isFinite(guidanceScale)) return;
  throw new FarmError("FIELD_INVALID", {
    message: "the guidance scale is not finite",
    details: { fields: [{ field: "guidance_scale", reason: "it is not finite", remedy: "choose a finite number, 6 is usual" }] },
  });
}
