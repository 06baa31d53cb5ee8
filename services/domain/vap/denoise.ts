/**
 * The denoise stage as a pure machine: begin, then one step per answer of the model (spec §1.1.5-1.1.9, §1.2.5-1.2.6, §3).
 *
 * Every random number comes from one generator in the reference's order: the variant's draws at the beginning, then the scheduler's. So
 * seed and inputs decide everything, and a state resumes bit-equal on any machine that runs the same model. Latents stay float32 between
 * steps. Plan and calls never change; a state is a value, and a step makes a new one. What differs between variants is the variant's.
 */
import { FarmError } from "../errors.ts";
import type { SchedulerKind } from "../render-spec.ts";
import { float32, requireShape } from "../tensors/tensor.ts";
import type { Float32Tensor } from "../tensors/tensor.ts";
import type { DenoiseCalls, ModelSizes, Variant } from "../variants/variant.ts";
import { applyGuidance, callsOf, type GuidanceForm, guidanceScales, isGuided } from "./guidance.ts";
import type { Scheduler, SchedulerFamily, SchedulerState } from "./schedulers/scheduler.ts";
import { TorchGenerator } from "./torch-random.ts";
import type { TorchRandomState } from "./torch-random.ts";

export type DenoiseSettings = {
  readonly seed: bigint;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly dynamicGuidance: boolean;
  readonly references: number;
  readonly variant: Variant;
  /** The model's own schedulers. */
  readonly schedulers: SchedulerFamily;
  /** What the render asks for instead of the model's kind, on the same noise schedule. */
  readonly schedulerKind?: SchedulerKind | undefined;
  readonly model: ModelSizes;
};

export type PlannedStep = { readonly index: number; readonly timestep: number; readonly guidanceScale: number };

export type DenoisePlan = {
  readonly kind: SchedulerKind;
  readonly scheduler: Scheduler;
  readonly steps: readonly PlannedStep[];
  /** Whether the model is asked about (negative, positive), else about the positive prompt alone. */
  readonly isGuided: boolean;
  readonly guidance: GuidanceForm;
  /** [1,T,C,h,w] or [1,C,T,h,w], as the variant has it. */
  readonly latentShape: readonly number[];
};

/** Everything that a checkpoint needs beside the render's inputs. */
export type DenoiseState = {
  /** Steps taken; the plan's length when done. */
  readonly stepIndex: number;
  /** float32, of the plan's shape. */
  readonly latents: Float32Tensor;
  /** What the scheduler remembers. */
  readonly memory: SchedulerState;
  readonly random: TorchRandomState;
};

export type DenoiseBeginning = {
  readonly plan: DenoisePlan;
  /** What the model sees beside latents and timestep in each call of a step. */
  readonly calls: DenoiseCalls;
  readonly state: DenoiseState;
};

/** The steps of a render without its inputs; settings out of range are FIELD_INVALID. */
export function planDenoise(settings: DenoiseSettings): DenoisePlan {
  const kind = settings.schedulerKind ?? settings.schedulers.kind;
  const scheduler = settings.schedulers.create(kind, settings.steps);
  const scales = guidanceScales(settings, scheduler.timesteps);
  return {
    kind,
    scheduler,
    steps: scheduler.timesteps.map((timestep, index) => ({ index, timestep, guidanceScale: scales[index] ?? settings.guidanceScale })),
    isGuided: isGuided(settings.guidanceScale),
    guidance: settings.variant.guidance,
    latentShape: settings.variant.latentShape(settings.model.latent),
  };
}

/** Draws and lays out the inputs and the steps; wrong shapes are STAGE_INPUT_INVALID, settings out of range FIELD_INVALID. */
export function beginDenoise(settings: DenoiseSettings, input: (name: string) => Float32Tensor): DenoiseBeginning {
  const plan = planDenoise(settings);
  const generator = TorchGenerator.seeded(settings.seed);
  const draw = (count: number): Float32Array => generator.randn(count);
  const { model, references, variant } = settings;
  const { latents, calls } = variant.begin({ model, references, isGuided: plan.isGuided, input, draw });
  return { plan, calls, state: { stepIndex: 0, latents, memory: plan.scheduler.beginning, random: generator.state() } };
}

/** The step that the model is asked about next; undefined when done. */
export function nextStep(plan: DenoisePlan, state: DenoiseState): PlannedStep | undefined {
  return plan.steps[state.stepIndex];
}

/**
 * Takes one step with the model's answers, one for each call of the step: float32 of the plan's shape, but with two rows where both prompts
 * are rows of one call. Latents that are not finite are STAGE_NOT_FINITE.
 */
export function stepDenoise(plan: DenoisePlan, state: DenoiseState, answers: readonly Float32Tensor[]): DenoiseState {
  const step = nextStep(plan, state);
  if (step === undefined) throw new FarmError("STAGE_INPUT_INVALID", { message: "all steps are taken" });
  let generator: TorchGenerator | undefined;
  const drawNoise = (): Float32Array => {
    generator ??= TorchGenerator.resumed(state.random);
    return generator.randn(state.latents.data.length);
  };
  const result = plan.scheduler.step({
    index: step.index,
    latents: state.latents.data,
    velocity: velocityOf(plan, step, answers),
    state: state.memory,
    drawNoise,
  });
  requireFinite(result.latents, step);
  return {
    stepIndex: state.stepIndex + 1,
    latents: float32(plan.latentShape, result.latents),
    memory: result.state,
    random: generator?.state() ?? state.random,
  };
}

function velocityOf(plan: DenoisePlan, step: PlannedStep, answers: readonly Float32Tensor[]): Float32Array {
  const { calls, rows } = callsOf(plan.guidance, plan.isGuided);
  if (answers.length !== calls) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `${answers.length} answers of the model for a step of ${calls} calls` });
  }
  for (const answer of answers) requireShape("noise_pred", answer, [rows, ...plan.latentShape.slice(1)]);
  const arrays = answers.map(({ data }) => data);
  return plan.isGuided ? applyGuidance(plan.guidance, arrays, step.guidanceScale) : (arrays[0] as Float32Array);
}

function requireFinite(latents: Float32Array, step: PlannedStep): void {
  for (const value of latents) {
    if (!Number.isFinite(value)) {
      throw new FarmError("STAGE_NOT_FINITE", { message: `the latents of step ${step.index} hold values that are not finite` });
    }
  }
}
