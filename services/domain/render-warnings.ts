/**
 * What a client should know of a render that was accepted as it is, as far as it follows from the settings alone: a function of the
 * spec, so nothing needs to be stored.
 */
import type { RenderSpec } from "./render-spec.ts";
import { parseSchedulerConfig, type SchedulerConfig } from "./vap/scheduler-config.ts";
import { samplingSteps, stepsDivideSchedule } from "./vap/timesteps.ts";

export type RenderWarning = { readonly code: string; readonly message: string };

/** The timesteps of every released checkpoint (scheduler_config.json): a job outlives its model's folder, its warnings do not need it. */
const releasedSchedule = parseSchedulerConfig({
  _class_name: "CogVideoXDDIMScheduler",
  prediction_type: "v_prediction",
  timestep_spacing: "trailing",
});

/** Warnings of a render's step count under a training schedule. */
export function renderWarnings(
  { steps }: Pick<RenderSpec, "steps">,
  schedule: SchedulerConfig = releasedSchedule,
): readonly RenderWarning[] {
  if (stepsDivideSchedule(schedule, steps)) return [];
  const total = schedule.trainTimesteps;
  const uneven = {
    code: "STEPS_DO_NOT_DIVIDE_1000",
    message:
      `${steps} steps do not divide ${total}: as in the reference, each step aims ${Math.floor(total / steps)} timesteps down while the next ` +
      `one starts from a rounded multiple of ${total}/steps, so steps do not meet exactly; choose a divisor of ${total} to avoid it`,
  };
  if (samplingSteps(schedule, steps).length <= steps) return [uneven];
  const surplus = {
    code: "STEPS_SURPLUS_TIMESTEP",
    message:
      `with ${steps} steps the reference's timestep table has an extra entry that replaces the result by noise, and so does this farm; ` +
      `choose a divisor of ${total}`,
  };
  return [uneven, surplus];
}
