import { describe, expect, test } from "vitest";
import { encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { float32 } from "../../../services/domain/tensors/tensor.ts";
import type { Float32Tensor } from "../../../services/domain/tensors/tensor.ts";
import { decodeDenoiseState, encodeDenoiseState } from "../../../services/domain/vap/denoise-checkpoint.ts";
import { nextStep, stepDenoise } from "../../../services/domain/vap/denoise.ts";
import { TorchGenerator } from "../../../services/domain/vap/torch-random.ts";
import { answersOf, beginGolden, finishGolden, inputsOf, settingsOf } from "../../support/denoise-case.ts";
import {
  cogvideoxNames,
  goldenNames,
  goldenReferences,
  maxDifference,
  openGolden,
  schedulerKindOf,
  wanNames,
} from "../../support/golden.ts";
import type { GoldenCase } from "../../support/golden.ts";

const plane = 6 * 8;
const render = "a render";
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error;

/** CogVideoX's input of one guidance row: per frame the noisy or clean channels, then the condition's, zero after its first frame. */
function cogvideoxInput(latents: Float32Tensor | undefined, condition: Float32Tensor | undefined): Float32Array {
  if (latents === undefined || condition === undefined) throw new TypeError("the call lacks latents");
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

/** Wan's input: latents, four mask channels that are 1 in the first latent frame, the condition. */
function wanInput(latents: Float32Tensor | undefined, condition: Float32Tensor | undefined): readonly number[] {
  if (latents === undefined || condition === undefined) throw new TypeError("the call lacks latents");
  const mask = Array.from({ length: 4 * 5 * plane }, (_, place) => (place % (5 * plane) < plane ? 1 : 0));
  return [...latents.data, ...mask, ...condition.data];
}

describe.each(goldenNames)("the golden case %s", (name) => {
  const golden = openGolden(name);

  test("has the reference's timesteps", () => {
    const { plan } = beginGolden(golden);
    const expected = golden.settings.variant === "wan" ? golden.float32("timesteps") : golden.int64("timesteps");
    expect(plan.steps.map(({ timestep }) => timestep)).toEqual([...expected.data].map(Number));
  });

  test("takes the model's recorded answers to the reference's latents, step by step", () => {
    const { plan, state } = beginGolden(golden);
    let current = state;
    for (const step of plan.steps) {
      current = stepDenoise(plan, current, answersOf(golden, step.index));
      expect(maxDifference(current.latents.data, golden.float32(`step${step.index}_latents`).data)).toBeLessThanOrEqual(5e-6);
    }
    expect(nextStep(plan, current)).toBeUndefined();
    expect(current.latents.shape).toEqual(golden.float32("step0_latents").shape);
  });

  test("ends bit-equal when resumed from a checkpoint at any step", () => {
    const { plan, state } = beginGolden(golden);
    const expected = finishGolden(golden, plan, state);
    let current = state;
    for (const step of plan.steps) {
      const again = beginGolden(golden).plan;
      const resumed = decodeDenoiseState({ plan: again, render }, encodeDenoiseState({ plan, render }, current));
      expect(resumed).toEqual(current);
      expect(finishGolden(golden, again, resumed)).toEqual(expected);
      current = stepDenoise(plan, current, answersOf(golden, step.index));
    }
  });
});

describe.each(cogvideoxNames)("CogVideoX's golden case %s", (name) => {
  const golden = openGolden(name);

  test("has every draw from its seed, in order", () => {
    const generator = TorchGenerator.seeded(BigInt(golden.settings.seed));
    const refs = goldenReferences(golden);
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

  test("gives the transformer's first inputs from moments and seed, both prompts in one call", () => {
    const { calls, state } = beginGolden(golden);
    expect(calls).toHaveLength(1);
    const [call = {}] = calls;
    const main = cogvideoxInput(state.latents, call["image_latents"]);
    const reference = cogvideoxInput(call["ref_latents"], call["ref_image_latents"]);
    expect(maxDifference([...main, ...main], golden.float32("step0_hidden_states").data)).toBeLessThanOrEqual(1e-5);
    expect(maxDifference([...reference, ...reference], golden.float32("step0_hidden_states_mot_ref").data)).toBeLessThanOrEqual(1e-5);
    expect(maxDifference(call["prompt_embeds"]?.data ?? [], golden.float32("step0_encoder_hidden_states").data)).toBe(0);
  });

  test("ends at the reference's decoder input", () => {
    const { plan, state } = beginGolden(golden);
    const { variant, model } = settingsOf(golden);
    const input = variant.decoderInput(finishGolden(golden, plan, state).latents, model);
    expect(input.shape).toEqual(golden.float32("decode_input").shape);
    expect(maxDifference(input.data, golden.float32("decode_input").data)).toBeLessThanOrEqual(1e-5);
  });
});

describe.each(wanNames)("Wan's golden case %s", (name) => {
  const golden = openGolden(name);

  test("has its one draw from its seed", () => {
    const { state } = beginGolden(golden);
    expect(maxDifference(state.latents.data, golden.float32("initial_noise").data)).toBeLessThanOrEqual(1e-6);
    expect(state.random.draws).toBe(state.latents.data.length);
  });

  test("gives the transformer's first inputs, the positive prompt in the first call and the negative one in the second", () => {
    const { calls, state } = beginGolden(golden);
    const [positive = {}, negative = {}] = calls;
    expect(calls).toHaveLength(2);
    expect(
      maxDifference(wanInput(state.latents, positive["image_latents"]), golden.float32("step0_hidden_states").data),
    ).toBeLessThanOrEqual(1e-5);
    const reference = wanInput(positive["ref_latents"], positive["ref_image_latents"]);
    expect(maxDifference(reference, golden.float32("step0_hidden_states_mot_ref").data)).toBeLessThanOrEqual(1e-5);
    for (const [tensor, call, expected] of [
      ["prompt_embeds", positive, "step0_encoder_hidden_states"],
      ["ref_prompt_embeds", positive, "step0_encoder_hidden_states_mot_ref"],
      ["prompt_embeds", negative, "step0_uncond_encoder_hidden_states"],
      ["ref_prompt_embeds", negative, "step0_uncond_encoder_hidden_states_mot_ref"],
      ["image_embeds", positive, "step0_encoder_hidden_states_image"],
      ["ref_image_embeds", negative, "step0_encoder_hidden_states_image_mot_ref"],
    ] as const) {
      expect(maxDifference(call[tensor]?.data ?? [], golden.float32(expected).data), expected).toBe(0);
    }
  });

  test("is refused with another number of references, and without what CLIP said", () => {
    expect(() => beginGolden(golden, { references: 2 })).toThrow(/exactly one/);
    expect(() => beginGolden(golden, { references: 0 })).toThrow(code("STAGE_INPUT_INVALID"));
    const { model } = settingsOf(golden);
    expect(() => beginGolden(golden, { model: { ...model, clip: undefined } })).toThrow(code("MODEL_INVALID"));
    expect(() => beginGolden(golden, {}, { image_embeds: float32([1, 1, 32], new Float32Array(32)) })).toThrow(code("STAGE_INPUT_INVALID"));
  });
});

describe.each([
  ["cogvideox-dpm-1ref", "ddim"],
  ["cogvideox-ddim-1ref", "dpm"],
  ["wan-unipc", "euler"],
  ["wan-euler", "unipc"],
] as const)("denoising %s", (name, other) => {
  const golden = openGolden(name);

  test("asks about the positive prompt alone when the guidance scale is 1 or less", () => {
    const inputs = inputsOf(golden);
    const { plan, calls, state } = beginGolden(golden, { guidanceScale: 1 });
    const answers = answersOf(golden, 0);
    const [first] = answers;
    const positive = golden.settings.variant === "wan" ? first : secondRow(first);
    expect(plan.isGuided).toBe(false);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.["prompt_embeds"]?.data).toEqual(inputs["prompt_embeds"]?.data);
    expect(stepDenoise(plan, state, positive === undefined ? [] : [positive]).stepIndex).toBe(1);
    expect(() => stepDenoise(plan, state, answers)).toThrow(code("STAGE_INPUT_INVALID"));
  });

  test(`runs ${other} when the render asks for it, on the model's noise schedule`, () => {
    const { plan, state } = beginGolden(golden, { schedulerKind: other });
    expect(plan.kind).toBe(other);
    expect(finishGolden(golden, plan, state).stepIndex).toBe(golden.settings.steps);
    const own = beginGolden(golden);
    expect(finishGolden(golden, plan, state).latents).not.toEqual(finishGolden(golden, own.plan, own.state).latents);
  });

  test("refuses a scheduler of the other family", () => {
    const foreign = golden.settings.variant === "wan" ? "ddim" : "unipc";
    expect(() => beginGolden(golden, { schedulerKind: foreign })).toThrow(code("FIELD_INVALID"));
  });

  test("fails by name when the model's answer is not finite", () => {
    const { plan, state } = beginGolden(golden);
    const broken = answersOf(golden, 0).map(({ shape, data }) =>
      float32(
        shape,
        data.map((value, index) => (index === 77 ? NaN : value)),
      ),
    );
    expect(() => stepDenoise(plan, state, broken)).toThrow(code("STAGE_NOT_FINITE"));
  });

  test("takes no step beyond the last", () => {
    const { plan, state } = beginGolden(golden);
    expect(() => stepDenoise(plan, finishGolden(golden, plan, state), answersOf(golden, 0))).toThrow(/all steps/);
  });
});

function secondRow(pair: Float32Tensor | undefined): Float32Tensor | undefined {
  if (pair === undefined) return undefined;
  return float32([1, ...pair.shape.slice(1)], pair.data.slice(pair.data.length / 2));
}

describe("denoising CogVideoX", () => {
  const golden = openGolden("cogvideox-dpm-1ref");

  test("draws nothing more from its generator under DDIM", () => {
    const { plan, state } = beginGolden(golden, { schedulerKind: "ddim" });
    expect(stepDenoise(plan, state, answersOf(golden, 0)).random).toBe(state.random);
  });

  test("keeps single frames unscaled when the VAE inverts their scale", () => {
    const { model } = settingsOf(golden);
    const callOf = (invertScaleLatents: boolean) =>
      beginGolden(golden, { model: { ...model, vae: { ...model.vae, invertScaleLatents } } }).calls[0] ?? {};
    const [scaled, inverted] = [callOf(false), callOf(true)];
    expect(inverted["ref_latents"]).toEqual(scaled["ref_latents"]);
    for (const tensor of ["image_latents", "ref_image_latents"]) {
      const shrunk = inverted[tensor]?.data.map((value) => value * 0.7) ?? [];
      expect(maxDifference(shrunk, scaled[tensor]?.data ?? []), tensor).toBeLessThanOrEqual(1e-6);
    }
  });

  test("refuses moments of another size, and a render without references", () => {
    expect(() => beginGolden(golden, {}, { image_moments: golden.float32("ref0_moments") })).toThrow(code("STAGE_INPUT_INVALID"));
    expect(() => beginGolden(golden, { references: 0 })).toThrow(code("STAGE_INPUT_INVALID"));
  });
});

describe.each(["cogvideox-dpm-1ref", "wan-unipc"] as const)("a denoise checkpoint of %s", (name) => {
  const golden: GoldenCase = openGolden(name);
  const { plan, state } = beginGolden(golden);
  const later = stepDenoise(plan, state, answersOf(golden, 0));
  const corrupt = code("ARTIFACT_CORRUPT");
  const owner = { plan, render };

  test("of another render is refused", () => {
    const other = golden.settings.variant === "wan" ? "euler" : "ddim";
    const another = beginGolden(golden, { schedulerKind: other }).plan;
    const shorter = beginGolden(golden, { steps: 1 }).plan;
    expect(() => decodeDenoiseState({ plan, render: "another" }, encodeDenoiseState(owner, later))).toThrow(corrupt);
    expect(() => decodeDenoiseState({ ...owner, plan: another }, encodeDenoiseState(owner, later))).toThrow(corrupt);
    expect(() => decodeDenoiseState({ ...owner, plan: shorter }, encodeDenoiseState(owner, { ...later, stepIndex: 2 }))).toThrow(corrupt);
    expect(() => decodeDenoiseState(owner, encodeDenoiseState(owner, { ...later, stepIndex: 99 }))).toThrow(corrupt);
    expect(() => decodeDenoiseState(owner, encodeDenoiseState(owner, { ...later, memory: state.memory }))).toThrow(corrupt);
    const wider = [...plan.latentShape.slice(0, 4), 9];
    expect(() => decodeDenoiseState({ ...owner, plan: { ...plan, latentShape: wider } }, encodeDenoiseState(owner, later))).toThrow(
      corrupt,
    );
  });

  test("whose memory is cut short is refused", () => {
    const tensors = Object.fromEntries(Object.entries(later.memory.tensors).map(([memory, data]) => [memory, data.subarray(1)]));
    const cut = { ...later, memory: { ...later.memory, tensors } };
    expect(() => decodeDenoiseState(owner, encodeDenoiseState(owner, cut))).toThrow(corrupt);
  });

  test("that is another kind of file is refused", () => {
    expect(() => decodeDenoiseState(owner, encodeSafetensors({ latents: state.latents }))).toThrow(corrupt);
    const empty = encodeSafetensors({}, { format: "vapfarm-denoise-2", scheduler: schedulerKindOf(golden) });
    expect(() => decodeDenoiseState(owner, empty)).toThrow(corrupt);
  });

  test("keeps the half pair that a small draw left behind", () => {
    const generator = TorchGenerator.seeded(3n);
    generator.randn(3);
    const kept = { ...state, random: generator.state() };
    expect(decodeDenoiseState(owner, encodeDenoiseState(owner, kept))).toEqual(kept);
  });
});
