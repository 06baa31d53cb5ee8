/**
 * CogVideoX's two schedulers on one noise schedule: DDIM, which remembers nothing, and DPM, which remembers its last x0 (spec §3.1-3.3).
 */
import { FarmError } from "../../errors.ts";
import type { RenderWarning, SchedulerKind } from "../../render-spec.ts";
import { ddimStep } from "./ddim.ts";
import { dpmStep } from "./dpm.ts";
import { createNoiseSchedule, type NoiseSchedule } from "./noise-schedule.ts";
import { parseSchedulerConfig, type SchedulerConfig } from "./cogvideox-config.ts";
import { type SamplingStep, samplingSteps, stepsDivideSchedule } from "./cogvideox-timesteps.ts";
import type { Scheduler, SchedulerFamily, SchedulerState, SchedulerStep } from "./scheduler.ts";

const nothing: SchedulerState = { tensors: {}, counts: {} };
const oldPrediction = "old_prediction";

/** Reads the config of CogVideoXDDIMScheduler or CogVideoXDPMScheduler; MODEL_INVALID says what is not supported. */
export function parseCogvideoxFamily(json: unknown): SchedulerFamily {
  const config = parseSchedulerConfig(json);
  return {
    kind: config.kind,
    kinds: ["ddim", "dpm"],
    trainTimesteps: config.trainTimesteps,
    create: (kind, steps) => createScheduler(kind, createNoiseSchedule(config), samplingSteps(config, steps)),
    cautions: (_kind, steps) => cautionsOf(config, steps),
  };
}

/** Two quirks of the reference's timesteps that are kept (cogvideox-timesteps.ts). */
function cautionsOf(config: SchedulerConfig, steps: number): readonly RenderWarning[] {
  if (stepsDivideSchedule(config, steps)) return [];
  const total = config.trainTimesteps;
  const uneven = {
    code: "STEPS_DO_NOT_DIVIDE_1000",
    message:
      `${steps} steps do not divide ${total}: as in the reference, each step aims ${Math.floor(total / steps)} timesteps down while the next ` +
      `one starts from a rounded multiple of ${total}/steps, so steps do not meet exactly; choose a divisor of ${total} to avoid it`,
  };
  if (samplingSteps(config, steps).length <= steps) return [uneven];
  const surplus = {
    code: "STEPS_SURPLUS_TIMESTEP",
    message:
      `with ${steps} steps the reference's timestep table has an extra entry that replaces the result by noise, and so does this farm; ` +
      `choose a divisor of ${total}`,
  };
  return [uneven, surplus];
}

function createScheduler(kind: SchedulerKind, schedule: NoiseSchedule, steps: readonly SamplingStep[]): Scheduler {
  const timesteps = steps.map(({ timestep }) => timestep);
  const shared = { timesteps, beginning: nothing };
  const stepOf = ({ index }: SchedulerStep): SamplingStep => {
    const step = steps[index];
    if (step === undefined) throw new FarmError("STAGE_INPUT_INVALID", { message: "all steps are taken" });
    return step;
  };
  if (kind === "ddim") {
    const step = (input: SchedulerStep) => ({ latents: ddimStep(schedule, stepOf(input), input), state: nothing });
    return { ...shared, memoriesBefore: () => ({ tensors: [], counts: [] }), step };
  }
  if (kind === "dpm") {
    const memoriesBefore = (index: number) => ({ tensors: index > 0 ? [oldPrediction] : [], counts: [] });
    return { ...shared, memoriesBefore, step: (input) => stepDpm(schedule, stepOf(input), input) };
  }
  throw new FarmError("FIELD_INVALID", { message: `scheduler ${kind} does not run on this model's noise schedule` });
}

function stepDpm(schedule: NoiseSchedule, step: SamplingStep, input: SchedulerStep) {
  const { latents, velocity, state, drawNoise } = input;
  const output = dpmStep(schedule, step, { latents, velocity, drawNoise, oldPrediction: state.tensors[oldPrediction] });
  return { latents: output.latents, state: { tensors: { [oldPrediction]: output.prediction }, counts: {} } };
}
