import { describe, expect, test } from "vitest";
import { encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { float32 } from "../../../services/domain/tensors/tensor.ts";
import type { Float32Tensor } from "../../../services/domain/tensors/tensor.ts";
import { decodeDenoiseState, encodeDenoiseState } from "../../../services/domain/vap/denoise-checkpoint.ts";
import { beginDenoise, nextStep, stepDenoise } from "../../../services/domain/vap/denoise.ts";
import type { DenoiseBeginning, DenoiseSettings, DenoiseState } from "../../../services/domain/vap/denoise.ts";
import { latentsToDecoderInput } from "../../../services/domain/vap/moments.ts";
import { parseSchedulerConfig } from "../../../services/domain/vap/scheduler-config.ts";
import { TorchGenerator } from "../../../services/domain/vap/torch-random.ts";
import { goldenNames, maxDifference, openGolden } from "../../support/golden.ts";
import type { GoldenCase } from "../../support/golden.ts";
import { releasedSchedulerConfig } from "../../support/scheduler-config.ts";

const latentShape = { frames: 5, channels: 16, height: 6, width: 8 };
const plane = latentShape.height * latentShape.width;

function settingsOf({ settings }: GoldenCase): DenoiseSettings {
  return {
    seed: BigInt(settings.seed),
    steps: settings.steps,
    guidanceScale: settings.guidance_scale,
    dynamicGuidance: settings.use_dynamic_cfg,
    scheduler: parseSchedulerConfig({ ...releasedSchedulerConfig, _class_name: settings.scheduler }),
    latentShape,
    scalingFactor: 0.7,
    invertScaleLatents: false,
  };
}

function references(golden: GoldenCase): number[] {
  return Array.from({ length: golden.settings.refs }, (_, index) => index);
}

function momentsOf(golden: GoldenCase): Parameters<typeof beginDenoise>[1] {
  return {
    image: golden.float32("image_moments"),
    references: references(golden).map((index) => ({
      moments: golden.float32(`ref${index}_moments`),
      firstMoments: golden.float32(`ref${index}_first_moments`),
    })),
  };
}

function begin(golden: GoldenCase, change: Partial<DenoiseSettings> = {}): DenoiseBeginning {
  return beginDenoise({ ...settingsOf(golden), ...change }, momentsOf(golden));
}

/** The transformer's input of one guidance half: per frame the noisy or clean channels, then the condition's, zero after its first frame. */
function transformerInput(latents: Float32Tensor, condition: Float32Tensor): Float32Array {
  const [clips = 0, frames = 0, channels = 0] = latents.shape;
  const row = channels * plane;
  const input = new Float32Array(clips * frames * 2 * row);
  for (let clip = 0; clip < clips; clip += 1) {
    for (let frame = 0; frame < frames; frame += 1) {
      const at = clip * frames + frame;
      input.set(latents.data.subarray(at * row, (at + 1) * row), at * 2 * row);
      if (frame === 0) input.set(condition.data.subarray(clip * row, (clip + 1) * row), at * 2 * row + row);
    }
  }
  return input;
}

function noisePred(golden: GoldenCase, index: number): Float32Tensor {
  return golden.float32(`step${index}_noise_pred`);
}

/** Runs the recorded answers of the model from a state to the end. */
function finish(golden: GoldenCase, { plan, state }: Pick<DenoiseBeginning, "plan" | "state">): DenoiseState {
  let current = state;
  for (let step = nextStep(plan, current); step !== undefined; step = nextStep(plan, current)) {
    current = stepDenoise(plan, current, noisePred(golden, step.index));
  }
  return current;
}

describe.each(goldenNames)("the golden case %s", (name) => {
  const golden = openGolden(name);

  test("has every draw from its seed, in order", () => {
    const generator = TorchGenerator.seeded(BigInt(golden.settings.seed));
    const refs = references(golden);
    const scheduled = golden.names.filter((tensor) => tensor.startsWith("scheduler_noise_")).length;
    const order = [
      "image_eps",
      "initial_noise",
      ...refs.map((index) => `ref${index}_eps`),
      ...refs.map((index) => `ref${index}_first_eps`),
      ...Array.from({ length: scheduled }, (_, index) => `scheduler_noise_${index}`),
    ];
    for (const tensor of order) {
      const expected = golden.float32(tensor).data;
      expect(maxDifference(generator.randn(expected.length), expected), tensor).toBeLessThanOrEqual(1e-6);
    }
  });

  test("has the reference's timesteps", () => {
    const { plan } = begin(golden);
    expect(plan.steps.map(({ timestep }) => BigInt(timestep))).toEqual([...golden.int64("timesteps").data]);
  });

  test("gives the transformer's first inputs from moments and seed", () => {
    const { conditions, state } = begin(golden);
    const main = transformerInput(state.latents, conditions.imageLatents);
    const reference = transformerInput(conditions.refLatents, conditions.refImageLatents);
    expect(maxDifference([...main, ...main], golden.float32("step0_hidden_states").data)).toBeLessThanOrEqual(1e-5);
    expect(maxDifference([...reference, ...reference], golden.float32("step0_hidden_states_mot_ref").data)).toBeLessThanOrEqual(1e-5);
  });

  test("takes the model's recorded answers to the reference's latents, step by step", () => {
    const { plan, state } = begin(golden);
    let current = state;
    for (const step of plan.steps) {
      current = stepDenoise(plan, current, noisePred(golden, step.index));
      expect(maxDifference(current.latents.data, golden.float32(`step${step.index}_latents`).data)).toBeLessThanOrEqual(5e-6);
    }
    expect(nextStep(plan, current)).toBeUndefined();
    const input = latentsToDecoderInput(current.latents, 0.7);
    expect(input.shape).toEqual(golden.float32("decode_input").shape);
    expect(maxDifference(input.data, golden.float32("decode_input").data)).toBeLessThanOrEqual(1e-5);
  });

  test("ends bit-equal when resumed from a checkpoint at any step", () => {
    const beginning = begin(golden);
    const expected = finish(golden, beginning);
    let current = beginning.state;
    for (const step of beginning.plan.steps) {
      const { plan } = begin(golden);
      const resumed = decodeDenoiseState(plan, encodeDenoiseState(current));
      expect(resumed).toEqual(current);
      expect(finish(golden, { plan, state: resumed })).toEqual(expected);
      current = stepDenoise(beginning.plan, current, noisePred(golden, step.index));
    }
  });
});

describe("denoising", () => {
  const golden = openGolden("cogvideox-dpm-1ref");
  const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error;

  test("runs on the positive prompt alone when the guidance scale is 1 or less", () => {
    const { plan, state } = begin(golden, { guidanceScale: 1 });
    const pair = noisePred(golden, 0);
    const positive = float32([1, ...pair.shape.slice(1)], pair.data.slice(pair.data.length / 2));
    expect(plan.guided).toBe(false);
    expect(stepDenoise(plan, state, positive).stepIndex).toBe(1);
    expect(() => stepDenoise(plan, state, pair)).toThrow(code("STAGE_INPUT_INVALID"));
  });

  test("runs the scheduler that the render asks for on the model's noise schedule", () => {
    const beginning = begin(golden, { schedulerKind: "ddim" });
    expect(beginning.plan.kind).toBe("ddim");
    expect(stepDenoise(beginning.plan, beginning.state, noisePred(golden, 0)).random).toBe(beginning.state.random);
  });

  test("keeps single frames unscaled when the VAE inverts their scale", () => {
    const scaled = begin(golden).conditions;
    const inverted = begin(golden, { invertScaleLatents: true }).conditions;
    expect(inverted.refLatents).toEqual(scaled.refLatents);
    expect(
      maxDifference(
        inverted.imageLatents.data.map((value) => value * 0.7),
        scaled.imageLatents.data,
      ),
    ).toBeLessThanOrEqual(1e-6);
    expect(
      maxDifference(
        inverted.refImageLatents.data.map((value) => value * 0.7),
        scaled.refImageLatents.data,
      ),
    ).toBeLessThanOrEqual(1e-6);
  });

  test("refuses moments of another size, and a render without references", () => {
    const moments = momentsOf(golden);
    const settings = settingsOf(golden);
    expect(() => beginDenoise(settings, { ...moments, image: golden.float32("ref0_moments") })).toThrow(code("STAGE_INPUT_INVALID"));
    expect(() => beginDenoise(settings, { ...moments, references: [] })).toThrow(code("STAGE_INPUT_INVALID"));
  });

  test("fails by name when the model's answer is not finite", () => {
    const { plan, state } = begin(golden);
    const answer = noisePred(golden, 0);
    const broken = float32(
      answer.shape,
      answer.data.map((value, index) => (index === 77 ? NaN : value)),
    );
    expect(() => stepDenoise(plan, state, broken)).toThrow(code("STAGE_NOT_FINITE"));
  });

  test("takes no step beyond the last", () => {
    const { plan, state } = begin(golden);
    expect(() => stepDenoise(plan, finish(golden, { plan, state }), noisePred(golden, 0))).toThrow(/all steps/);
  });
});

describe("a denoise checkpoint", () => {
  const golden = openGolden("cogvideox-dpm-1ref");
  const { plan, state } = begin(golden);
  const later = stepDenoise(plan, state, noisePred(golden, 0));
  const corrupt = expect.objectContaining({ code: "ARTIFACT_CORRUPT" }) as Error;

  test("of another render is refused", () => {
    const shorter = begin(golden, { steps: 1, schedulerKind: "ddim" }).plan;
    expect(() => decodeDenoiseState(shorter, encodeDenoiseState(later))).toThrow(corrupt);
    expect(() => decodeDenoiseState(plan, encodeDenoiseState({ ...later, stepIndex: 6 }))).toThrow(corrupt);
    expect(() => decodeDenoiseState(plan, encodeDenoiseState({ ...later, oldPrediction: undefined }))).toThrow(corrupt);
    expect(() => decodeDenoiseState({ ...plan, latentShape: [1, 5, 16, 6, 9] }, encodeDenoiseState(later))).toThrow(corrupt);
  });

  test("that is another kind of file is refused", () => {
    expect(() => decodeDenoiseState(plan, encodeSafetensors({ latents: state.latents }))).toThrow(corrupt);
    expect(() => decodeDenoiseState(plan, encodeSafetensors({}, { format: "vapfarm-denoise-1" }))).toThrow(corrupt);
  });

  test("keeps the half pair that a small draw left behind", () => {
    const generator = TorchGenerator.seeded(3n);
    generator.randn(3);
    const kept = { ...state, random: generator.state() };
    expect(decodeDenoiseState(plan, encodeDenoiseState(kept))).toEqual(kept);
  });
});
