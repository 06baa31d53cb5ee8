/**
 * Which training timesteps a render of N steps visits (spec §3.1; diffusers scheduling_ddim_cogvideox.py, set_timesteps).
 *
 * The reference's quirk is kept: the timestep that a step goes *to* is `t − trunc(1000 / N)`, whatever the next step starts from, so that for an
 * N that does not divide 1000 they differ and the last step may stop short of a clean picture (N = 7). Callers warn about it.
 * So is another: for 62 values of N (61 is the first) numpy's arange in the reference yields one timestep too many, −1, which its table reads
 * from the end (ᾱ = 0) and which replaces the finished latents by −v. The numbers equal the reference's there too; callers warn.
 */
import { roundHalfEven } from "../round-half-even.ts";
import type { SchedulerConfig } from "./cogvideox-config.ts";
import { requireStepCount } from "./step-count.ts";

export type SamplingStep = {
  /** 0 .. N−1, or N where the reference's table has one entry more. */
  readonly index: number;
  /** What the model is told; −1 in the reference's surplus step. */
  readonly timestep: number;
  /** Where the step goes; below 0 means the end. */
  readonly previous: number;
  /** Where the step before started; absent in the first step. */
  readonly back: number | undefined;
};

/** The steps of a render in order; a count outside 1..trainTimesteps is FIELD_INVALID. */
export function samplingSteps(config: SchedulerConfig, steps: number): readonly SamplingStep[] {
  requireStepCount(config.trainTimesteps, steps);
  const timesteps = spacedTimesteps(config, steps);
  const stride = Math.trunc(config.trainTimesteps / steps);
  return timesteps.map((timestep, index) => ({ index, timestep, previous: timestep - stride, back: timesteps[index - 1] }));
}

/** Whether steps lead into one another; where not, a render carries a warning. */
export function stepsDivideSchedule(config: SchedulerConfig, steps: number): boolean {
  return config.trainTimesteps % steps === 0;
}

function spacedTimesteps(config: SchedulerConfig, steps: number): readonly number[] {
  switch (config.timestepSpacing) {
    case "trailing":
      return trailing(config.trainTimesteps, steps);
    case "leading":
      return leading(config.trainTimesteps, steps).map((timestep) => timestep + config.stepsOffset);
    case "linspace":
      return linspace(config.trainTimesteps, steps);
  }
}

/** round(arange(total, 0, −total/steps)) − 1: numpy's count is a rounded quotient, and its stride the difference of its first two values. */
function trailing(total: number, steps: number): readonly number[] {
  const ratio = total / steps;
  const count = Math.ceil(total / ratio);
  const stride = total - ratio - total;
  return Array.from({ length: count }, (_, index) => roundHalfEven(total + index * stride) - 1);
}

function leading(total: number, steps: number): readonly number[] {
  const ratio = Math.trunc(total / steps);
  return Array.from({ length: steps }, (_, index) => (steps - 1 - index) * ratio);
}

function linspace(total: number, steps: number): readonly number[] {
  if (steps === 1) return [0];
  const stride = (total - 1) / (steps - 1);
  return Array.from({ length: steps }, (_, index) => (index === 0 ? total - 1 : roundHalfEven((steps - 1 - index) * stride)));
}
