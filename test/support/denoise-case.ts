/**
 * A golden case as the denoise machine meets it: settings, inputs by name, and the model's recorded answers.
 */
import { float32, type Float32Tensor } from "../../services/domain/tensors/tensor.ts";
import { variantOf } from "../../services/domain/variants/registry.ts";
import type { ModelSizes } from "../../services/domain/variants/variant.ts";
import {
  beginDenoise,
  type DenoiseBeginning,
  type DenoisePlan,
  type DenoiseSettings,
  type DenoiseState,
  nextStep,
  stepDenoise,
} from "../../services/domain/vap/denoise.ts";
import { type GoldenCase, goldenReferences } from "./golden.ts";
import { flowEulerConfig, unipcConfig } from "./flow-scheduler-config.ts";
import { releasedSchedulerConfig } from "./scheduler-config.ts";

const latent = { frames: 5, channels: 16, height: 6, width: 8 };

/** Sizes of the golden checkpoints. */
export const goldenSizes: Readonly<Record<"cogvideox" | "wan", ModelSizes>> = {
  cogvideox: { latent, vae: { scalingFactor: 0.7, invertScaleLatents: false }, text: { maxTokens: 226, width: 32 } },
  wan: {
    latent,
    vae: { scalingFactor: 1, invertScaleLatents: false },
    text: { maxTokens: 512, width: 32 },
    clip: { tokens: 257, width: 32 },
  },
};

/** By class, without CogVideoX's two, which share a config. */
const flowConfigs: Readonly<Record<string, unknown>> = {
  UniPCMultistepScheduler: unipcConfig,
  FlowMatchEulerDiscreteScheduler: flowEulerConfig,
};

/** The case's own settings. */
export function settingsOf({ settings }: GoldenCase): DenoiseSettings {
  const variant = variantOf(settings.variant);
  const config = flowConfigs[settings.scheduler] ?? { ...releasedSchedulerConfig, _class_name: settings.scheduler };
  return {
    seed: BigInt(settings.seed),
    steps: settings.steps,
    guidanceScale: settings.guidance_scale,
    dynamicGuidance: settings.use_dynamic_cfg ?? false,
    references: settings.refs,
    variant,
    schedulers: variant.schedulers(config),
    model: goldenSizes[settings.variant],
  };
}

/** Inputs of `denoise` by name: what the reference's own encoders gave. */
export function inputsOf(golden: GoldenCase): Readonly<Record<string, Float32Tensor>> {
  const { variant } = golden.settings;
  const prompts = Object.fromEntries(
    [["", 0] as const, ...goldenReferences(golden).map((index) => [`ref${index}_`, 2 + 2 * index] as const)].flatMap(([prefix, at]) => [
      [`${prefix}prompt_embeds`, promptOf(golden, at)],
      [`${prefix}negative_prompt_embeds`, promptOf(golden, at + 1)],
    ]),
  );
  return { ...prompts, ...(variant === "wan" ? wanInputs(golden) : cogvideoxInputs(golden)) };
}

function cogvideoxInputs(golden: GoldenCase): Readonly<Record<string, Float32Tensor>> {
  const names = goldenReferences(golden).flatMap((index) => [`ref${index}_moments`, `ref${index}_first_moments`]);
  return Object.fromEntries(["image_moments", ...names].map((name) => [name, golden.float32(name)]));
}

function wanInputs(golden: GoldenCase): Readonly<Record<string, Float32Tensor>> {
  return {
    image_latents: normalisedMean(golden.float32("vae0_moments")),
    ref0_latents: normalisedMean(golden.float32("vae1_moments")),
    ref0_first_latents: normalisedMean(golden.float32("vae2_moments")),
    image_embeds: golden.float32("clip0_embeds"),
    ref0_image_embeds: golden.float32("clip1_embeds"),
  };
}

/** Embeddings [1,L,D]; of Wan with the rows past the mask zero, as the reference fills them. */
function promptOf(golden: GoldenCase, index: number): Float32Tensor {
  if (golden.settings.variant !== "wan") return golden.float32(`text${index}_embeds`);
  const { shape, data } = golden.float32(`text${index}_hidden`);
  const width = shape[2] ?? 0;
  const mask = golden.int64(`text${index}_mask`).data;
  return float32(
    shape,
    data.map((value, place) => (mask[Math.floor(place / width)] === 1n ? value : 0)),
  );
}

/** latents_mean of Wan's VAE, by channel (spec §1.2.1). */
export const wanMean = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921]; // prettier-ignore
/** latents_std. */
export const wanStd = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.916]; // prettier-ignore

/** Moments float32 [1,2C,T,h,w] → (mean − latents_mean) · (1/latents_std), float32 [1,C,T,h,w]: what Wan's engine gives. */
export function normalisedMean({ shape, data }: Float32Tensor): Float32Tensor {
  const [, doubled = 0, ...rest] = shape;
  const channels = doubled / 2;
  const plane = rest.reduce((product, extent) => product * extent, 1);
  const latents = data.subarray(0, channels * plane).map((value, place) => {
    const channel = Math.floor(place / plane);
    const inverse = Math.fround(1 / Math.fround(wanStd[channel] ?? NaN));
    return Math.fround(value - Math.fround(wanMean[channel] ?? NaN)) * inverse;
  });
  return float32([1, channels, ...rest], latents);
}

/** Begins the case, with its settings or inputs changed. */
export function beginGolden(
  golden: GoldenCase,
  change: Partial<DenoiseSettings> = {},
  inputs: Readonly<Record<string, Float32Tensor>> = {},
): DenoiseBeginning {
  const all = { ...inputsOf(golden), ...inputs };
  return beginDenoise({ ...settingsOf(golden), ...change }, (name) => {
    const tensor = all[name];
    if (tensor === undefined) throw new TypeError(`the case has no ${name}`);
    return tensor;
  });
}

/** What the reference's model answered in a step, one for each call. */
export function answersOf(golden: GoldenCase, index: number): readonly Float32Tensor[] {
  if (golden.settings.variant !== "wan") return [golden.float32(`step${index}_noise_pred`)];
  return [golden.float32(`step${index}_noise_cond`), golden.float32(`step${index}_noise_uncond`)];
}

/** Runs the recorded answers from a state to the end. */
export function finishGolden(golden: GoldenCase, plan: DenoisePlan, state: DenoiseState): DenoiseState {
  let current = state;
  for (let step = nextStep(plan, current); step !== undefined; step = nextStep(plan, current)) {
    current = stepDenoise(plan, current, answersOf(golden, step.index));
  }
  return current;
}
