/**
 * What a client should know of a render that was accepted as it is, as far as it follows from the settings alone: a function of the
 * spec, so nothing needs to be stored.
 */
import type { RenderSpec, SchedulerKind } from "./render-spec.ts";
import { parseCogvideoxFamily } from "./vap/schedulers/cogvideox-family.ts";
import { parseFlowFamily } from "./vap/schedulers/flow-config.ts";
import type { SchedulerFamily, StepCaution } from "./vap/schedulers/scheduler.ts";

export type RenderWarning = StepCaution;

const releasedCogvideox = parseCogvideoxFamily({
  _class_name: "CogVideoXDDIMScheduler",
  prediction_type: "v_prediction",
  timestep_spacing: "trailing",
});
const releasedWan = parseFlowFamily({
  _class_name: "UniPCMultistepScheduler",
  prediction_type: "flow_prediction",
  use_flow_sigmas: true,
  flow_shift: 3,
});

/** The schedules of the released checkpoints: a job outlives its model's folder, its warnings do not need it. */
const released: Readonly<Record<SchedulerKind, SchedulerFamily>> = {
  ddim: releasedCogvideox,
  dpm: releasedCogvideox,
  unipc: releasedWan,
  euler: releasedWan,
};

/** Warnings of a render's step count under its model's schedule, or the released one. */
export function renderWarnings(
  { steps, scheduler }: Pick<RenderSpec, "steps" | "scheduler">,
  schedulers: SchedulerFamily = released[scheduler],
): readonly RenderWarning[] {
  return schedulers.cautions(scheduler, steps);
}
