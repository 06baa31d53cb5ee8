import { describe, expect, test } from "vitest";
import { parseFlowFamily } from "../../../services/domain/vap/schedulers/flow-config.ts";
import { eulerTable, unipcTable } from "../../../services/domain/vap/schedulers/flow-sigmas.ts";
import type { Scheduler, SchedulerState } from "../../../services/domain/vap/schedulers/scheduler.ts";
import { TorchGenerator } from "../../../services/domain/vap/torch-random.ts";
import { wanMean, wanStd } from "../../support/denoise-case.ts";
import { maxDifference, openGolden, wanNames } from "../../support/golden.ts";
import { flowEulerConfig, unipcConfig } from "../../support/flow-scheduler-config.ts";

/** Measured: 1.5e-6 for UniPC, bit-equal for Euler; the noise differs by less, the decoder's input by the deviation more. */
const tolerance = 2e-6;
const schedule = { trainTimesteps: 1000, shift: 3 };
const kinds = { "wan-unipc": "unipc", "wan-euler": "euler" } as const;
const tables = { unipc: unipcTable, euler: eulerTable };
const { fround } = Math;

function casesOf(name: (typeof wanNames)[number]) {
  const golden = openGolden(name);
  const { steps, seed, guidance_scale: scale } = golden.settings;
  const family = parseFlowFamily(kinds[name] === "unipc" ? unipcConfig : flowEulerConfig);
  const initial = golden.float32("initial_noise").data;
  const velocityOf = (index: number): Float32Array => {
    const uncond = golden.float32(`step${index}_noise_uncond`).data;
    const cond = golden.float32(`step${index}_noise_cond`).data;
    return uncond.map((value, place) => value + fround(scale * fround((cond[place] ?? NaN) - value)));
  };
  return { golden, steps, seed, initial, velocityOf, scheduler: family.create(kinds[name], steps) };
}

type Moment = { readonly latents: Float32Array; readonly state: SchedulerState };

/** Latents and state after each step from `from.index` on. */
function follow(scheduler: Scheduler, from: Moment & { index: number }, velocityOf: (index: number) => Float32Array): Moment[] {
  const moments: Moment[] = [];
  let now: Moment = from;
  for (let { index } = from; index < scheduler.timesteps.length; index += 1) {
    now = scheduler.step({ ...now, index, velocity: velocityOf(index), drawNoise: () => new Float32Array(0) });
    moments.push(now);
  }
  return moments;
}

describe.each(wanNames)("the scheduler in the golden case %s", (name) => {
  const { golden, steps, seed, initial, velocityOf, scheduler } = casesOf(name);
  const moments = follow(scheduler, { index: 0, latents: initial, state: scheduler.beginning }, velocityOf);

  test("tells the reference's timesteps and has its sigmas, bit for bit", () => {
    const { timesteps, sigmas } = tables[kinds[name]](schedule, steps);
    expect(Float32Array.from(timesteps)).toEqual(golden.float32("timesteps").data);
    expect(scheduler.timesteps).toEqual(timesteps);
    expect(sigmas).toEqual(golden.float32("sigmas").data);
  });

  test("starts from the noise of the seed", () => {
    expect(maxDifference(TorchGenerator.seeded(BigInt(seed)).randn(initial.length), initial)).toBeLessThanOrEqual(tolerance);
  });

  test("follows the reference's latents through all steps", () => {
    const recorded = golden.names.filter((tensor) => /^step\d+_latents$/.test(tensor));
    expect(recorded).toHaveLength(steps);
    for (const tensor of recorded) {
      const index = Number(/\d+/.exec(tensor)?.[0]);
      expect(maxDifference(moments[index]?.latents ?? [], golden.float32(tensor).data), tensor).toBeLessThanOrEqual(tolerance);
    }
  });

  test("ends where the reference decodes", () => {
    const { latents = new Float32Array(0) } = moments.at(-1) ?? {};
    const plane = latents.length / wanMean.length;
    const decoded = latents.map((value, place) => {
      const channel = Math.trunc(place / plane);
      return fround(value / fround(1 / fround(wanStd[channel] ?? NaN))) + fround(wanMean[channel] ?? NaN);
    });
    expect(maxDifference(decoded, golden.float32("decode_input").data)).toBeLessThanOrEqual(3 * tolerance);
  });

  test("goes on bit-equal from a copy of the state of any step", () => {
    moments.forEach((moment, index) => {
      const rest = follow(scheduler, { ...structuredClone(moment), index: index + 1 }, velocityOf);
      expect(rest).toEqual(moments.slice(index + 1));
    });
  });
});
