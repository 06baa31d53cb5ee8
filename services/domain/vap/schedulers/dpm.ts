/**
 * One step of CogVideoXDPMScheduler, an SDE variant of DPM-Solver++(2M), with v-prediction (spec §3.3; scheduling_dpm_cogvideox.py:391-439).
 *
 *   λ(ᾱ) = log √(ᾱ/(1−ᾱ))      h = λp − λt      r = (λt − λback)/h
 *   m1 = √((1−ᾱp)/(1−ᾱt))·e^−h      m2 = expm1(−2h)·√ᾱp      mn = √(1−ᾱp)·√(1−e^−2h)
 *   first order:  x' = m1·x − m2·x0 + mn·z            in the first step and where the step ends
 *   second order: D = (1 + 1/2r)·x0 − (1/2r)·old,  x' = m1·x − m2·D + mn·z
 *
 * The reference draws noise before it decides the order and draws again for the second, so that a second-order step consumes two draws and
 * uses the later one; the stream of a seed depends on it. State between steps: latents, the last x0 and the generator.
 * At ᾱ = 0 and ᾱ = 1 λ is infinite and every coefficient that is used is still finite. Rounding is as in ddim.ts.
 */
import { predictOriginal } from "./ddim.ts";
import { alphaAfter, alphaAt } from "./noise-schedule.ts";
import type { NoiseSchedule } from "./noise-schedule.ts";
import type { SamplingStep } from "./cogvideox-timesteps.ts";

export type DpmInput = {
  /** float32 [n]. */
  readonly latents: Float32Array;
  /** float32 [n]. */
  readonly velocity: Float32Array;
  /** x0 of the step before, float32 [n]; absent in the first step. */
  readonly oldPrediction: Float32Array | undefined;
  /** Draws float32 [n] from the render's generator. */
  readonly drawNoise: () => Float32Array;
};

export type DpmOutput = {
  readonly latents: Float32Array;
  /** x0 of this step, the next one's `oldPrediction`. */
  readonly prediction: Float32Array;
};

/** Takes the step; results are fresh arrays. */
export function dpmStep(schedule: NoiseSchedule, step: SamplingStep, input: DpmInput): DpmOutput {
  const alpha = alphaAt(schedule, step.timestep);
  const alphaPrevious = alphaAfter(schedule, step.previous);
  const prediction = predictOriginal(alpha, input.latents, input.velocity);
  const h = halfLogSnr(alphaPrevious) - halfLogSnr(alpha);
  const firstNoise = input.drawNoise();
  const isFirstOrder = input.oldPrediction === undefined || step.back === undefined || step.previous < 0;
  const denoised = isFirstOrder
    ? prediction
    : extrapolate(prediction, input.oldPrediction, (halfLogSnr(alpha) - halfLogSnr(alphaAt(schedule, step.back))) / h);
  const noise = isFirstOrder ? firstNoise : input.drawNoise();
  const weights = {
    sample: Math.sqrt((1 - alphaPrevious) / (1 - alpha)) * Math.exp(-h),
    denoised: Math.expm1(-2 * h) * Math.sqrt(alphaPrevious),
    noise: Math.sqrt(1 - alphaPrevious) * Math.sqrt(1 - Math.exp(-2 * h)),
  };
  return { latents: combine(weights, { sample: input.latents, denoised, noise }), prediction };
}

/** λ = log √(ᾱ/(1−ᾱ)): −∞ at pure noise, +∞ at a clean picture. */
function halfLogSnr(alpha: number): number {
  return Math.log(Math.sqrt(alpha / (1 - alpha)));
}

/** D = (1 + 1/2r)·x0 − (1/2r)·old. */
function extrapolate(prediction: Float32Array, oldPrediction: Float32Array, ratio: number): Float32Array {
  const newWeight = Math.fround(1 + 1 / (2 * ratio));
  const oldWeight = Math.fround(1 / (2 * ratio));
  const denoised = new Float32Array(prediction.length);
  for (let index = 0; index < denoised.length; index += 1) {
    const ahead = Math.fround(newWeight * (prediction[index] as number));
    denoised[index] = ahead - Math.fround(oldWeight * (oldPrediction[index] as number));
  }
  return denoised;
}

type Parts<Value> = { readonly sample: Value; readonly denoised: Value; readonly noise: Value };

/** (m1·x − m2·D) + mn·z. */
function combine(weights: Parts<number>, parts: Parts<Float32Array>): Float32Array {
  const sampleWeight = Math.fround(weights.sample);
  const denoisedWeight = Math.fround(weights.denoised);
  const noiseWeight = Math.fround(weights.noise);
  const next = new Float32Array(parts.sample.length);
  for (let index = 0; index < next.length; index += 1) {
    const kept = Math.fround(sampleWeight * (parts.sample[index] as number));
    const moved = Math.fround(kept - Math.fround(denoisedWeight * (parts.denoised[index] as number)));
    next[index] = moved + Math.fround(noiseWeight * (parts.noise[index] as number));
  }
  return next;
}
