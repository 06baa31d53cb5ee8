/**
 * The denoise stage as a pure machine: begin, then one step per answer of the model (spec §1.1.5-1.1.9, §3).
 *
 * Every random number comes from one generator in the reference's order: image, initial noise, each reference, each reference's first frame,
 * then the scheduler's draws. So seed and inputs decide everything, and a state resumes bit-equal on any machine that runs the same model.
 * Latents stay float32 between steps. A plan and the conditions never change; a state is a value, and a step makes a new one.
 */
import { FarmError } from "../errors.ts";
import type { SchedulerKind } from "../render-spec.ts";
import { elementCount, float32, requireShape } from "../tensors/tensor.ts";
import type { Float32Tensor } from "../tensors/tensor.ts";
import { ddimStep } from "./ddim.ts";
import { dpmStep } from "./dpm.ts";
import { applyGuidance, guidanceScales, isGuided } from "./guidance.ts";
import { sampleLatents } from "./moments.ts";
import { createNoiseSchedule } from "./noise-schedule.ts";
import type { NoiseSchedule } from "./noise-schedule.ts";
import type { SchedulerConfig } from "./scheduler-config.ts";
import { samplingSteps } from "./timesteps.ts";
import type { SamplingStep } from "./timesteps.ts";
import { TorchGenerator } from "./torch-random.ts";
import type { TorchRandomState } from "./torch-random.ts";

/** Extents of a model's latents, T, C, h and w of [1,T,C,h,w]. */
type LatentShape = { readonly frames: number; readonly channels: number; readonly height: number; readonly width: number };

export type DenoiseSettings = {
  readonly seed: bigint;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly dynamicGuidance: boolean;
  /** The model's own scheduler. */
  readonly scheduler: SchedulerConfig;
  /** What the render asks for instead of the model's kind, on the same noise schedule. */
  readonly schedulerKind?: SchedulerKind | undefined;
  readonly latentShape: LatentShape;
  readonly scalingFactor: number;
  /** From the VAE's config: where true, the reference does not scale the latents of single frames at all. */
  readonly invertScaleLatents: boolean;
};

/** Moments from the VAE encoder, all float32. */
export type DenoiseMoments = {
  /** [1,2C,1,h,w]. */
  readonly image: Float32Tensor;
  /** For each reference, in order: its clip [1,2C,T,h,w] and its first frame [1,2C,1,h,w]. */
  readonly references: readonly { readonly moments: Float32Tensor; readonly firstMoments: Float32Tensor }[];
};

/** What the model sees unchanged in every step, all float32 and scaled. */
type DenoiseConditions = {
  /** [1,1,C,h,w]. */
  readonly imageLatents: Float32Tensor;
  /** [n,T,C,h,w]. */
  readonly refLatents: Float32Tensor;
  /** [n,1,C,h,w]. */
  readonly refImageLatents: Float32Tensor;
};

export type PlannedStep = SamplingStep & { readonly guidanceScale: number };

export type DenoisePlan = {
  readonly kind: SchedulerKind;
  readonly schedule: NoiseSchedule;
  readonly steps: readonly PlannedStep[];
  /** Whether the model runs on (negative, positive), else on the positive prompt alone. */
  readonly guided: boolean;
  /** [1,T,C,h,w]. */
  readonly latentShape: readonly number[];
};

/** Everything that a checkpoint needs beside the render's inputs. */
export type DenoiseState = {
  /** Steps taken; the plan's length when done. */
  readonly stepIndex: number;
  /** float32 [1,T,C,h,w]. */
  readonly latents: Float32Tensor;
  /** x0 of the last step, float32 [T·C·h·w]; DPM only. */
  readonly oldPrediction: Float32Array | undefined;
  readonly random: TorchRandomState;
};

export type DenoiseBeginning = { readonly plan: DenoisePlan; readonly conditions: DenoiseConditions; readonly state: DenoiseState };

/** Draws and scales the inputs and lays out the steps; wrong shapes are STAGE_INPUT_INVALID, settings out of range FIELD_INVALID. */
export function beginDenoise(settings: DenoiseSettings, moments: DenoiseMoments): DenoiseBeginning {
  const plan = planDenoise(settings);
  requireMoments(settings.latentShape, moments);
  const generator = TorchGenerator.seeded(settings.seed);
  const frameScale = settings.invertScaleLatents ? 1 : settings.scalingFactor;
  const sample = (source: Float32Tensor, scale: number): Float32Tensor =>
    sampleLatents(source, generator.randn(source.data.length / 2), scale);
  const imageLatents = sample(moments.image, frameScale);
  const latents = float32(plan.latentShape, generator.randn(elementCount(plan.latentShape)));
  const refLatents = stack(moments.references.map((reference) => sample(reference.moments, settings.scalingFactor)));
  const refImageLatents = stack(moments.references.map((reference) => sample(reference.firstMoments, frameScale)));
  return {
    plan,
    conditions: { imageLatents, refLatents, refImageLatents },
    state: { stepIndex: 0, latents, oldPrediction: undefined, random: generator.state() },
  };
}

/** The steps of a render without its inputs. */
function planDenoise(settings: DenoiseSettings): DenoisePlan {
  const steps = samplingSteps(settings.scheduler, settings.steps);
  const scales = guidanceScales(settings, steps);
  const { frames, channels, height, width } = settings.latentShape;
  return {
    kind: settings.schedulerKind ?? settings.scheduler.kind,
    schedule: createNoiseSchedule(settings.scheduler),
    steps: steps.map((step, index) => ({ ...step, guidanceScale: scales[index] ?? settings.guidanceScale })),
    guided: isGuided(settings.guidanceScale),
    latentShape: [1, frames, channels, height, width],
  };
}

/** The step that the model is asked about next; undefined when done. */
export function nextStep(plan: DenoisePlan, state: DenoiseState): PlannedStep | undefined {
  return plan.steps[state.stepIndex];
}

/**
 * Takes one step with the model's answer, float32 [g,T,C,h,w]: g = 2 (negative, positive) when the plan is guided, else 1.
 * Latents that are not finite are STAGE_NOT_FINITE.
 */
export function stepDenoise(plan: DenoisePlan, state: DenoiseState, noisePred: Float32Tensor): DenoiseState {
  const step = nextStep(plan, state);
  if (step === undefined) throw new FarmError("STAGE_INPUT_INVALID", { message: "all steps are taken" });
  requireShape("noise_pred", noisePred, [plan.guided ? 2 : 1, ...plan.latentShape.slice(1)]);
  const velocity = plan.guided ? applyGuidance(noisePred.data, step.guidanceScale) : noisePred.data;
  const next = plan.kind === "ddim" ? stepDdim(plan, { state, step, velocity }) : stepDpm(plan, { state, step, velocity });
  requireFinite(next.latents.data, step);
  return next;
}

type Step = { readonly state: DenoiseState; readonly step: SamplingStep; readonly velocity: Float32Array };

function stepDdim(plan: DenoisePlan, { state, step, velocity }: Step): DenoiseState {
  const latents = ddimStep(plan.schedule, step, { latents: state.latents.data, velocity });
  return { ...state, stepIndex: state.stepIndex + 1, latents: float32(plan.latentShape, latents) };
}

function stepDpm(plan: DenoisePlan, { state, step, velocity }: Step): DenoiseState {
  const generator = TorchGenerator.resumed(state.random);
  const output = dpmStep(plan.schedule, step, {
    latents: state.latents.data,
    velocity,
    oldPrediction: state.oldPrediction,
    drawNoise: () => generator.randn(velocity.length),
  });
  return {
    stepIndex: state.stepIndex + 1,
    latents: float32(plan.latentShape, output.latents),
    oldPrediction: output.prediction,
    random: generator.state(),
  };
}

function requireMoments(shape: LatentShape, moments: DenoiseMoments): void {
  const expected = (frames: number): readonly number[] => [1, 2 * shape.channels, frames, shape.height, shape.width];
  requireShape("image_moments", moments.image, expected(1));
  if (moments.references.length === 0) throw new FarmError("STAGE_INPUT_INVALID", { message: "a render needs a reference" });
  moments.references.forEach((reference, index) => {
    requireShape(`ref${index}_moments`, reference.moments, expected(shape.frames));
    requireShape(`ref${index}_first_moments`, reference.firstMoments, expected(1));
  });
}

/** n tensors [1,…] → [n,…]. */
function stack(tensors: readonly Float32Tensor[]): Float32Tensor {
  const each = tensors[0]?.data.length ?? 0;
  const data = new Float32Array(each * tensors.length);
  tensors.forEach((tensor, index) => {
    data.set(tensor.data, index * each);
  });
  return float32([tensors.length, ...(tensors[0]?.shape.slice(1) ?? [])], data);
}

function requireFinite(latents: Float32Array, step: SamplingStep): void {
  for (const value of latents) {
    if (!Number.isFinite(value)) {
      throw new FarmError("STAGE_NOT_FINITE", { message: `the latents of step ${step.index} hold values that are not finite` });
    }
  }
}
