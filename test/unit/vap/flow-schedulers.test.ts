import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFlowEuler } from "../../../services/domain/vap/schedulers/flow-euler.ts";
import { eulerTable, referenceFails, unipcTable } from "../../../services/domain/vap/schedulers/flow-sigmas.ts";
import type { FlowTable } from "../../../services/domain/vap/schedulers/flow-sigmas.ts";
import { parseFlowFamily } from "../../../services/domain/vap/schedulers/flow-config.ts";
import type { Scheduler, SchedulerState } from "../../../services/domain/vap/schedulers/scheduler.ts";
import { createUniPc, defaultSolver } from "../../../services/domain/vap/schedulers/unipc.ts";
import { TorchGenerator } from "../../../services/domain/vap/torch-random.ts";
import { maxDifference } from "../../support/golden.ts";
import { flowEulerConfig, unipcConfig } from "../../support/flow-scheduler-config.ts";

/**
 * Made with UniPCMultistepScheduler and FlowMatchEulerDiscreteScheduler of diffusers 0.34.0 (whose arithmetic is the reference's fork's; that of
 * 0.42 spreads UniPC's σ otherwise), torch 2.13.0 on CPU and numpy 2.4.6.
 * `tables`: set_timesteps(N); `some` has σ as base64 of float32; `sha256` is over the lines of N = 1..1000, each the hexadecimal SHA-256 of float32 σ then
 * float64 timesteps, and `counts` has some of these lines.
 * `runs`: set_begin_index(0), so that a step's index is its place in the loop; x = randn(count) of the seed, then steps with `madeUpVelocity`;
 * `latents` has those after the steps `kept`, base64 of float32 [kept, count].
 */
type Fixture = {
  tables: {
    kind: "unipc" | "euler";
    shift: number;
    some: Record<string, { timesteps: number[]; sigmas: string }>;
    sha256: string;
    counts: Record<string, string>;
  }[];
  reference_fails_unipc: Record<string, [first: number, last: number, count: number] | []>;
  runs: {
    kind: "unipc" | "euler";
    steps: number;
    shift: number;
    config: Record<string, unknown>;
    seed: string;
    count: number;
    kept: number[];
    latents: string;
  }[];
};
const fixture = JSON.parse(readFileSync(new URL("../../fixtures/vap/flow-schedulers.json", import.meta.url), "utf8")) as Fixture;
const allCounts = Array.from({ length: 1000 }, (_, index) => index + 1);
const shiftThree = { trainTimesteps: 1000, shift: 3 };

function float32s(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
}

function digest({ sigmas, timesteps }: FlowTable): string {
  const hash = createHash("sha256").update(new Uint8Array(sigmas.buffer));
  return hash.update(new Uint8Array(Float64Array.from(timesteps).buffer)).digest("hex");
}

/** float64 arithmetic rounded once. */
function madeUpVelocity(latents: Float32Array, sigma: number): Float32Array {
  return latents.map((value, place) => 0.7 * value + (0.4 * place) / latents.length - 0.2 * sigma);
}

const noNoise = (): Float32Array => expect.fail("a flow scheduler draws nothing");

/** Latents after each step of a made-up render. */
function render(scheduler: Scheduler, sigmas: Float32Array, initial: Float32Array): Float32Array[] {
  const history: Float32Array[] = [];
  let latents = initial;
  let state = scheduler.beginning;
  for (const index of scheduler.timesteps.keys()) {
    const velocity = madeUpVelocity(latents, sigmas[index] ?? NaN);
    ({ latents, state } = scheduler.step({ index, latents, velocity, state, drawNoise: noNoise }));
    history.push(latents);
  }
  return history;
}

function tableOf(kind: "unipc" | "euler", shift: number, steps: number): FlowTable {
  const schedule = { trainTimesteps: 1000, shift };
  return kind === "unipc" ? unipcTable(schedule, steps) : eulerTable(schedule, steps);
}

describe("a table of sigmas", () => {
  test.each(fixture.tables)(
    "of $kind with shift $shift is diffusers' to the last bit for 1 to 1000 steps",
    ({ kind, shift, ...expected }) => {
      for (const [steps, { timesteps, sigmas }] of Object.entries(expected.some)) {
        const table = tableOf(kind, shift, Number(steps));
        expect(table.timesteps).toEqual(timesteps);
        expect(table.sigmas).toEqual(float32s(sigmas));
      }
      const lines = allCounts.map((steps) => digest(tableOf(kind, shift, steps)));
      for (const [steps, line] of Object.entries(expected.counts)) expect(lines[Number(steps) - 1], `${steps} steps`).toBe(line);
      expect(createHash("sha256").update(lines.join("\n")).digest("hex")).toBe(expected.sha256);
    },
  );

  test("shifts Euler's lower end twice, as the reference does", () => {
    expect(eulerTable(shiftThree, 4).timesteps.at(-1)).toBeCloseTo(8.9286, 4);
    expect(eulerTable({ ...shiftThree, shift: 1 }, 4).timesteps.at(-1)).toBe(1);
  });

  test.each(Object.entries(fixture.reference_fails_unipc))("with shift %s says for which counts the reference fails", (shift, expected) => {
    const failing = allCounts.filter((steps) => referenceFails(tableOf("unipc", Number(shift), steps).timesteps));
    expect(failing.length === 0 ? [] : [failing[0], failing.at(-1), failing.length]).toEqual(expected);
  });

  test("of Euler never starts with one timestep twice", () => {
    expect(allCounts.filter((steps) => referenceFails(tableOf("euler", 3, steps).timesteps))).toEqual([]);
  });
});

describe("the flow schedulers", () => {
  test.each(fixture.runs)("reproduce diffusers' $kind over $steps steps, shift $shift, $config", (run) => {
    const { kind, steps, shift, config, seed, count, kept, latents } = run;
    const base = kind === "unipc" ? { ...unipcConfig, flow_shift: shift } : { ...flowEulerConfig, shift };
    const scheduler = parseFlowFamily({ ...base, ...config }).create(kind, steps);
    const history = render(scheduler, tableOf(kind, shift, steps).sigmas, TorchGenerator.seeded(BigInt(seed)).randn(count));
    const expected = float32s(latents);
    kept.forEach((index, place) => {
      const difference = maxDifference(history[index] ?? [], expected.subarray(place * count, (place + 1) * count));
      expect(difference, `step ${index}`).toBeLessThanOrEqual(2e-6);
    });
  });

  test("end finite for every count from 1 to 1000", () => {
    const initial = TorchGenerator.seeded(3n).randn(3);
    for (const steps of allCounts) {
      for (const scheduler of [createUniPc(shiftThree, defaultSolver, steps), createFlowEuler(shiftThree, steps)]) {
        expect(scheduler.timesteps).toHaveLength(steps);
        const last = render(scheduler, new Float32Array(steps), initial).at(-1) ?? [];
        expect([...last].every(Number.isFinite), `${steps} steps`).toBe(true);
      }
    }
  });

  test("refuse counts out of range and steps after the last", () => {
    for (const steps of [0, 1001, 2.5, NaN]) {
      const refused = expect.objectContaining({ code: "FIELD_INVALID" }) as Error;
      expect(() => createUniPc(shiftThree, defaultSolver, steps)).toThrow(refused);
      expect(() => createFlowEuler(shiftThree, steps)).toThrow(refused);
    }
    for (const scheduler of [createUniPc(shiftThree, defaultSolver, 2), createFlowEuler(shiftThree, 2)]) {
      const latents = new Float32Array(2);
      const after = { index: 2, latents, velocity: latents, state: scheduler.beginning, drawNoise: noNoise };
      expect(() => scheduler.step(after)).toThrow(/all steps are taken/);
    }
  });
});

const renders = fc.record({
  kind: fc.constantFrom("unipc" as const, "euler" as const),
  order: fc.constantFrom(1 as const, 2 as const, 3 as const),
  shift: fc.constantFrom(0.5, 1, 3, 12),
  steps: fc.integer({ min: 1, max: 12 }),
  uncorrected: fc.array(fc.nat(11), { maxLength: 3 }),
  initial: fc.float32Array({ minLength: 3, maxLength: 3, noNaN: true, min: -8, max: 8 }),
});

function schedulerOf({ kind, order, shift, steps, uncorrected }: typeof renders extends fc.Arbitrary<infer R> ? R : never): Scheduler {
  const schedule = { trainTimesteps: 1000, shift };
  return kind === "unipc" ? createUniPc(schedule, { order, uncorrected }, steps) : createFlowEuler(schedule, steps);
}

/** A state as a checkpoint keeps it: nothing but JSON's numbers, which hold every float32. */
function throughText(state: SchedulerState): SchedulerState {
  const tensors = Object.entries(state.tensors).map(([name, values]) => [name, [...values]] as const);
  const back = JSON.parse(JSON.stringify({ tensors, counts: state.counts })) as {
    tensors: [string, number[]][];
    counts: Record<string, number>;
  };
  return { tensors: Object.fromEntries(back.tensors.map(([name, values]) => [name, Float32Array.from(values)])), counts: back.counts };
}

describe("a step", () => {
  test("depends on its arguments alone, leaves them as they were, and leaves the memories that it announced", () => {
    fc.assert(
      fc.property(renders, (arbitrary) => {
        const scheduler = schedulerOf(arbitrary);
        let latents: Float32Array = arbitrary.initial;
        let state = scheduler.beginning;
        for (const index of scheduler.timesteps.keys()) {
          const names = scheduler.memoriesBefore(index);
          expect(Object.keys(state.tensors).sort()).toEqual([...names.tensors].sort());
          expect(Object.keys(state.counts).sort()).toEqual([...names.counts].sort());
          const input = { index, latents, velocity: madeUpVelocity(latents, 0.5), state, drawNoise: noNoise };
          const before = structuredClone({ latents: input.latents, velocity: input.velocity, state });
          const result = scheduler.step(input);
          expect({ latents: input.latents, velocity: input.velocity, state }).toEqual(before);
          expect(scheduler.step({ ...input, state: throughText(state) })).toEqual(result);
          ({ latents, state } = result);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("refuses a state that lacks a memory or has it of another size", () => {
    const scheduler = createUniPc(shiftThree, defaultSolver, 4);
    const latents = new Float32Array([1, 2, 3]);
    const { state } = scheduler.step({ index: 0, latents, velocity: latents, state: scheduler.beginning, drawNoise: noNoise });
    const refused = expect.objectContaining({ code: "ARTIFACT_CORRUPT" }) as Error;
    const broken: SchedulerState[] = [
      scheduler.beginning,
      { ...state, tensors: { ...state.tensors, last_sample: new Float32Array(2) } },
      { ...state, tensors: { last_sample: latents } },
      { ...state, counts: {} },
      { ...state, counts: { ...state.counts, this_order: 0 } },
      { ...state, counts: { ...state.counts, this_order: 3 } },
    ];
    for (const wrong of broken) {
      expect(() => scheduler.step({ index: 1, latents, velocity: latents, state: wrong, drawNoise: noNoise })).toThrow(refused);
    }
  });
});
