/**
 * One step of FlowMatchEulerDiscreteScheduler (spec §3.5; scheduling_flow_match_euler_discrete.py:433-470): x' = x + (σ_next − σ)·v, each
 * operation rounded to float32. Deterministic; no state but the latents, which stay float32 where the reference would store the model's dtype.
 */
import { eulerTable } from "./flow-sigmas.ts";
import type { FlowSchedule } from "./flow-sigmas.ts";
import type { Scheduler } from "./scheduler.ts";
import { requireStepCount, requireStepLeft } from "./step-count.ts";

/** Euler over N steps; a count out of range is FIELD_INVALID. */
export function createFlowEuler(schedule: FlowSchedule, steps: number): Scheduler {
  requireStepCount(schedule.trainTimesteps, steps);
  const { timesteps, sigmas } = eulerTable(schedule, steps);
  return {
    timesteps,
    beginning: { tensors: {}, counts: {} },
    memoriesBefore: () => ({ tensors: [], counts: [] }),
    step: ({ index, latents, velocity, state }) => {
      requireStepLeft(steps, index);
      const stride = Math.fround((sigmas[index + 1] as number) - (sigmas[index] as number));
      const next = latents.map((value, place) => value + Math.fround(stride * (velocity[place] as number)));
      return { latents: next, state };
    },
  };
}
