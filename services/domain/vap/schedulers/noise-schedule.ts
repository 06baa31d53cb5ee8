/**
 * ᾱ(t), how much of the picture is left at each training timestep (spec §3.1; diffusers scheduling_ddim_cogvideox.py:197-224, the same in
 * scheduling_dpm_cogvideox.py). All in float64, as there: the coefficients of a step are rounded to float32 only where they meet latents.
 */
import { FarmError } from "../../errors.ts";
import type { SchedulerConfig } from "./cogvideox-config.ts";

export type NoiseSchedule = {
  /** float64 [trainTimesteps]: ᾱ, the cumulative product of 1 − β, falling with t; exactly 0 at the end when the terminal SNR is zero. */
  readonly alphasCumprod: Float64Array;
  /** ᾱ beyond timestep 0. */
  readonly finalAlphaCumprod: number;
};

/** Computes ᾱ: scaled-linear β, cumulative product, SNR shift, zero terminal SNR, in this order. */
export function createNoiseSchedule(config: SchedulerConfig): NoiseSchedule {
  const alphasCumprod = new Float64Array(config.trainTimesteps);
  let product = 1;
  scaledLinearBetas(config).forEach((beta, timestep) => {
    product *= 1 - beta;
    alphasCumprod[timestep] = product / (config.snrShiftScale + (1 - config.snrShiftScale) * product);
  });
  if (config.rescaleBetasZeroSnr) rescaleZeroTerminalSnr(alphasCumprod);
  return { alphasCumprod, finalAlphaCumprod: config.setAlphaToOne ? 1 : (alphasCumprod[0] ?? 1) };
}

/** ᾱ where a step goes to; below 0 the final one. */
export function alphaAfter(schedule: NoiseSchedule, previous: number): number {
  return previous < 0 ? schedule.finalAlphaCumprod : alphaAt(schedule, previous);
}

/** ᾱ where a step starts; −1 is the table's last entry, as Python reads it (see cogvideox-timesteps.ts). */
export function alphaAt(schedule: NoiseSchedule, timestep: number): number {
  const alpha = schedule.alphasCumprod.at(timestep);
  if (alpha === undefined) throw new FarmError("MODEL_INVALID", { message: `timestep ${timestep} is beyond the training schedule` });
  return alpha;
}

/** torch.linspace(√start, √end, n, float64)²: a step from the start in the first half, back from the end in the second. */
function scaledLinearBetas(config: SchedulerConfig): Float64Array {
  const start = Math.sqrt(config.betaStart);
  const end = Math.sqrt(config.betaEnd);
  const last = config.trainTimesteps - 1;
  const step = (end - start) / last;
  const half = Math.trunc(config.trainTimesteps / 2);
  return Float64Array.from({ length: config.trainTimesteps }, (_, index) => {
    const root = index < half ? start + step * index : end - step * (last - index);
    return root * root;
  });
}

/** Algorithm 1 of "Common Diffusion Noise Schedules and Sample Steps are Flawed" (arXiv 2305.08891), on ᾱ in place. */
function rescaleZeroTerminalSnr(alphasCumprod: Float64Array): void {
  const first = Math.sqrt(alphasCumprod[0] ?? 1);
  const last = Math.sqrt(alphasCumprod.at(-1) ?? 0);
  const scale = first / (first - last);
  alphasCumprod.forEach((alpha, timestep) => {
    const root = (Math.sqrt(alpha) - last) * scale;
    alphasCumprod[timestep] = root * root;
  });
}
