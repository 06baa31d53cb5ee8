import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ddimStep } from "../../../services/domain/vap/schedulers/ddim.ts";
import { dpmStep } from "../../../services/domain/vap/schedulers/dpm.ts";
import { applyGuidance, guidanceScales, isGuided } from "../../../services/domain/vap/guidance.ts";
import { createNoiseSchedule } from "../../../services/domain/vap/schedulers/noise-schedule.ts";
import { parseSchedulerConfig } from "../../../services/domain/vap/schedulers/cogvideox-config.ts";
import type { SchedulerConfig } from "../../../services/domain/vap/schedulers/cogvideox-config.ts";
import { samplingSteps, stepsDivideSchedule } from "../../../services/domain/vap/schedulers/cogvideox-timesteps.ts";
import { TorchGenerator } from "../../../services/domain/vap/torch-random.ts";
import { maxDifference } from "../../support/golden.ts";
import { releasedSchedulerConfig } from "../../support/scheduler-config.ts";

/**
 * Made with the CogVideoX schedulers of diffusers 0.42.1 (the same arithmetic as the reference's fork), torch 2.13.0 on CPU and numpy 2.4.6, from the
 * config in test/support/scheduler-config.ts with the changes that a key names. `runs`: x = randn(count) of the seed, then at each step the
 * recorded velocity (base64 of float32 [steps, count]) through `scheduler.step`, giving `latents`; DPM draws from the same generator.
 */
type Fixture = {
  alphas_cumprod: { indices: number[]; released: number[]; snr_shift_3: number[]; snr_shift_3_without_zero_snr: number[] };
  timesteps: Record<string, { some: Record<string, number[]>; sha256: string }>;
  guidance: Record<string, number[]>;
  runs: { kind: "ddim" | "dpm"; steps: number; seed: string; count: number; velocities: string; latents: string }[];
};
const fixture = JSON.parse(readFileSync(new URL("../../fixtures/vap/schedulers.json", import.meta.url), "utf8")) as Fixture;
const released = parseSchedulerConfig(releasedSchedulerConfig);
const allCounts = Array.from({ length: 1000 }, (_, index) => index + 1);

function timestepsOf(config: SchedulerConfig, steps: number): number[] {
  return samplingSteps(config, steps).map(({ timestep }) => timestep);
}

function float32s(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
}

describe("the noise schedule", () => {
  test.each([
    ["released", released],
    ["snr_shift_3", { ...released, snrShiftScale: 3 }],
    ["snr_shift_3_without_zero_snr", { ...released, snrShiftScale: 3, rescaleBetasZeroSnr: false }],
  ] as const)("is diffusers' for %s", (name, config) => {
    const { alphasCumprod } = createNoiseSchedule(config);
    const found = fixture.alphas_cumprod.indices.map((index) => alphasCumprod[index] ?? NaN);
    expect(maxDifference(found, fixture.alphas_cumprod[name])).toBeLessThanOrEqual(1e-14);
  });

  test("ends in pure noise and begins with the picture", () => {
    const { alphasCumprod, finalAlphaCumprod } = createNoiseSchedule(released);
    expect(alphasCumprod.at(-1)).toBe(0);
    expect(finalAlphaCumprod).toBe(1);
    expect(createNoiseSchedule({ ...released, setAlphaToOne: false }).finalAlphaCumprod).toBe(alphasCumprod[0]);
    expect(alphasCumprod.every((alpha, index) => index === 0 || alpha < (alphasCumprod[index - 1] ?? 0))).toBe(true);
  });
});

describe("a scheduler config", () => {
  test.each([
    ["another prediction", { prediction_type: "epsilon" }],
    ["another spacing", { timestep_spacing: "karras" }],
    ["another beta schedule", { beta_schedule: "linear" }],
    ["betas of its own", { trained_betas: [0.1] }],
    ["another class", { _class_name: "UniPCMultistepScheduler" }],
    ["a key that is not known", { use_karras_sigmas: true }],
    ["a number as text", { beta_end: "0.012" }],
    ["betas that fall", { beta_start: 0.02 }],
  ])("with %s is refused", (_, change) => {
    const refused = expect.objectContaining({ code: "MODEL_INVALID" }) as Error;
    expect(() => parseSchedulerConfig({ ...releasedSchedulerConfig, ...change })).toThrow(refused);
  });

  test("without the keys that decide the arithmetic is refused, because diffusers' defaults mean another model", () => {
    expect(() => parseSchedulerConfig({ _class_name: "CogVideoXDDIMScheduler" })).toThrow(/prediction_type/);
    expect(() => parseSchedulerConfig(null)).toThrow(/no object/);
  });

  test("names the scheduler", () => {
    expect(released.kind).toBe("ddim");
    expect(parseSchedulerConfig({ ...releasedSchedulerConfig, _class_name: "CogVideoXDPMScheduler" }).kind).toBe("dpm");
  });
});

describe("timesteps", () => {
  test.each(["trailing", "leading", "linspace"] as const)(
    "with spacing %s are numpy's for every count from 1 to 1000",
    (timestepSpacing) => {
      const config = { ...released, timestepSpacing };
      const lines = allCounts.map((steps) => timestepsOf(config, steps).join(","));
      for (const [steps, expected] of Object.entries(fixture.timesteps[timestepSpacing]?.some ?? {})) {
        expect(timestepsOf(config, Number(steps))).toEqual(expected);
      }
      expect(createHash("sha256").update(lines.join("\n")).digest("hex")).toBe(fixture.timesteps[timestepSpacing]?.sha256);
    },
  );

  test("keep the reference's surplus −1 where numpy's arange counts one too many, and only there", () => {
    const surplus = allCounts.filter((steps) => timestepsOf(released, steps).length !== steps);
    expect(surplus).toHaveLength(62);
    expect(surplus.every((steps) => timestepsOf(released, steps).at(-1) === -1 && !stepsDivideSchedule(released, steps))).toBe(true);
    expect(timestepsOf(released, 61)).toHaveLength(62);
  });

  test("lead to t − trunc(1000/N), the reference's quirk where N does not divide 1000", () => {
    const thirty = samplingSteps(released, 30);
    expect(thirty.slice(0, 3).map(({ timestep, previous }) => [timestep, previous])).toEqual([
      [999, 966],
      [966, 933],
      [932, 899],
    ]);
    expect(samplingSteps(released, 7).at(-1)?.previous).toBe(0);
    expect(samplingSteps(released, 50).at(-1)).toEqual({ index: 49, timestep: 19, previous: -1, back: 39 });
    expect([7, 30, 50, 1000].map((steps) => stepsDivideSchedule(released, steps))).toEqual([false, false, true, true]);
  });

  test("of a count out of range are refused", () => {
    for (const steps of [0, 1001, 2.5, NaN]) {
      expect(() => samplingSteps(released, steps)).toThrow(expect.objectContaining({ code: "FIELD_INVALID" }) as Error);
    }
  });
});

describe("guidance", () => {
  const dynamic = { guidanceScale: 6, dynamicGuidance: true };
  const timestepsOf = (steps: number): readonly number[] => samplingSteps(released, steps).map(({ timestep }) => timestep);

  test("has the reference's float32 bits for 50 steps and scale 6", () => {
    const bits =
      "4012a7ba 4022c8c0 40df2de4 40cd7394 40327031 4088b3c0 3f84d001 408573eb 3fcf19cc 40df75c7 3f809ced 4037ce8b 40df41fd 3fd10961 408a8d4a " +
      "401bf147 40cc12df 40c03809 405ca9f8 404cada3 3fd3cf22 40d38536 3f98ed6c 4089736c 40df882d 3fc2b8d6 3fe17d55 3f876a7f 40841489 3fbdbb1e 40002a0c " +
      "40be533a 4084953f 40d0fa43 40c479a4 40dfff84 40c56387 3f8f598a 40063d8b 40d5eb92 40dff992 4015f747 40c6cede 3fa0115a 40dffd16 40dba8ef 3f88227c " +
      "3f800004 3f800021 3f8fcb81";
    const scales = new Float32Array(guidanceScales({ ...dynamic, steps: 50 }, timestepsOf(50)));
    expect([...new Uint32Array(scales.buffer)].map((word) => word.toString(16).padStart(8, "0")).join(" ")).toBe(bits);
  });

  test.each(Object.entries(fixture.guidance))("follows Python's formula for %s steps", (count, expected) => {
    const steps = Number(count);
    const scales = guidanceScales({ ...dynamic, steps }, timestepsOf(steps));
    expect(maxDifference(scales, expected)).toBeLessThanOrEqual(1e-9);
  });

  test("of another scale moves along the same curve", () => {
    const steps = timestepsOf(50);
    const six = guidanceScales({ ...dynamic, steps: 50 }, steps);
    const three = guidanceScales({ guidanceScale: 3, dynamicGuidance: true, steps: 50 }, steps);
    expect(
      maxDifference(
        three,
        six.map((scale) => (scale - 1) / 2 + 1),
      ),
    ).toBeLessThanOrEqual(1e-12);
  });

  test("is constant unless dynamic, and absent up to 1", () => {
    expect(guidanceScales({ guidanceScale: 6, dynamicGuidance: false, steps: 4 }, timestepsOf(4))).toEqual([6, 6, 6, 6]);
    expect([0, 1, 1.01].map(isGuided)).toEqual([false, false, true]);
    expect(() => guidanceScales({ guidanceScale: Infinity, dynamicGuidance: false, steps: 1 }, [])).toThrow(/not finite/);
  });

  test("is applied in float32", () => {
    const [negative, positive, scale] = [0.1, 0.7, 2.2915].map(Math.fround) as [number, number, number];
    const expected = Math.fround(negative + Math.fround(scale * Math.fround(positive - negative)));
    expect([...applyGuidance("rows", [new Float32Array([negative, positive])], 2.2915)]).toEqual([expected]);
    expect([...applyGuidance("calls", [new Float32Array([positive]), new Float32Array([negative])], 2.2915)]).toEqual([expected]);
  });
});

describe("the schedulers", () => {
  const schedule = createNoiseSchedule(released);

  test.each(fixture.runs)("reproduce diffusers' $kind over $steps steps", ({ kind, steps, seed, count, velocities, latents }) => {
    const generator = TorchGenerator.seeded(BigInt(seed));
    const expected = float32s(latents);
    const velocityOf = float32s(velocities);
    let current = generator.randn(count);
    let oldPrediction: Float32Array | undefined;
    for (const step of samplingSteps(released, steps)) {
      const velocity = velocityOf.subarray(step.index * count, (step.index + 1) * count);
      if (kind === "ddim") {
        current = ddimStep(schedule, step, { latents: current, velocity });
      } else {
        const output = dpmStep(schedule, step, { latents: current, velocity, oldPrediction, drawNoise: () => generator.randn(count) });
        current = output.latents;
        oldPrediction = output.prediction;
      }
      expect(maxDifference(current, expected.subarray(step.index * count, (step.index + 1) * count))).toBeLessThanOrEqual(2e-6);
    }
  });

  test("stay finite at every step of every count from 1 to 1000", () => {
    const velocity = new Float32Array([0.5, -1, 2]);
    for (const steps of allCounts) {
      const generator = TorchGenerator.seeded(1n);
      let ddim = generator.randn(3);
      let dpm = ddim;
      let oldPrediction: Float32Array | undefined;
      for (const step of samplingSteps(released, steps)) {
        ddim = ddimStep(schedule, step, { latents: ddim, velocity });
        const output = dpmStep(schedule, step, { latents: dpm, velocity, oldPrediction, drawNoise: () => generator.randn(3) });
        dpm = output.latents;
        oldPrediction = output.prediction;
      }
      expect([...ddim, ...dpm].every(Number.isFinite), `${steps} steps`).toBe(true);
    }
  });

  test("leave their inputs as they were", () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 4, maxLength: 4, noNaN: true, min: -8, max: 8 }), (values) => {
        const before = values.slice();
        const step = { index: 1, timestep: 979, previous: 959, back: 999 };
        ddimStep(schedule, step, { latents: values, velocity: values });
        dpmStep(schedule, step, { latents: values, velocity: values, oldPrediction: values, drawNoise: () => values });
        expect(values).toEqual(before);
      }),
    );
  });
});
