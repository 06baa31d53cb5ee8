/**
 * One step of CogVideoXDDIMScheduler with v-prediction (spec §3.2; scheduling_ddim_cogvideox.py:365-400). Deterministic; no state but the latents.
 *
 *   x0 = √ᾱt·x − √(1−ᾱt)·v        a = √((1−ᾱp)/(1−ᾱt))        b = √ᾱp − √ᾱt·a        x' = a·x + b·x0
 *
 * Coefficients are float64 and rounded to float32 before they multiply, and each operation is rounded to float32: what torch does with a
 * float32 tensor and a 0-dim float64 one.
 */
import { alphaAfter, alphaAt } from "./noise-schedule.ts";
import type { NoiseSchedule } from "./noise-schedule.ts";
import type { SamplingStep } from "./cogvideox-timesteps.ts";

/** Latents after the step, float32 [n], from latents x and velocity v, both float32 [n]; a fresh array. */
export function ddimStep(
  schedule: NoiseSchedule,
  step: SamplingStep,
  input: { readonly latents: Float32Array; readonly velocity: Float32Array },
): Float32Array {
  const alpha = alphaAt(schedule, step.timestep);
  const alphaPrevious = alphaAfter(schedule, step.previous);
  const ratio = Math.sqrt((1 - alphaPrevious) / (1 - alpha));
  const sampleWeight = Math.fround(ratio);
  const predictionWeight = Math.fround(Math.sqrt(alphaPrevious) - Math.sqrt(alpha) * ratio);
  const next = predictOriginal(alpha, input.latents, input.velocity);
  for (let index = 0; index < next.length; index += 1) {
    const kept = Math.fround(sampleWeight * (input.latents[index] as number));
    next[index] = kept + Math.fround(predictionWeight * (next[index] as number));
  }
  return next;
}

/** The clean latents that a velocity implies, x0 = √ᾱ·x − √(1−ᾱ)·v: float32 [n], a fresh array. */
export function predictOriginal(alpha: number, latents: Float32Array, velocity: Float32Array): Float32Array {
  const sampleWeight = Math.fround(Math.sqrt(alpha));
  const velocityWeight = Math.fround(Math.sqrt(1 - alpha));
  const original = new Float32Array(latents.length);
  for (let index = 0; index < original.length; index += 1) {
    const kept = Math.fround(sampleWeight * (latents[index] as number));
    original[index] = kept - Math.fround(velocityWeight * (velocity[index] as number));
  }
  return original;
}
