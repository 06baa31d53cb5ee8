/**
 * UniPCMultistepScheduler on flow sigmas: each step corrects the sample with the model's newest answer, then predicts the next one
 * (spec §3.4; scheduling_unipc_multistep.py:572-1023, `predict_x0`, "bh2").
 *
 *   m = x − σ_i·v                                                          the clean latents that the model's answer implies
 *   corrector, i > 0:  x ← a·x_last − w·m₁ − w·(Σ ρ_k·(m_{k+1} − m₁)/r_k + ρ·(m − m₁))      from σ_{i−1} to σ_i, order of the step before
 *   predictor:         x' = a·x − w·m − w·Σ ρ_k·(m_k − m)/r_k                               from σ_i to σ_{i+1}
 *
 * m₁ is the output of the step before, m₂ that of the one before it. The order grows from 1 with the steps and falls to 1 at the last one. Every
 * operation on latents is rounded to float32, as torch does. Deterministic.
 */
import { FarmError } from "../../errors.ts";
import { unipcTable } from "./flow-sigmas.ts";
import type { FlowSchedule } from "./flow-sigmas.ts";
import type { Scheduler, SchedulerResult, SchedulerState, SchedulerStep } from "./scheduler.ts";
import { requireStepCount, requireStepLeft } from "./step-count.ts";
import { solveSystem, updateWeights } from "./unipc-weights.ts";

const { fround } = Math;

export type UniPcSolver = {
  /** Most outputs that one update reads. */
  readonly order: 1 | 2 | 3;
  /** Steps after which the sample is not corrected, 0-based. */
  readonly uncorrected: readonly number[];
};

/** What a UniPCMultistepScheduler is unless its config says otherwise. */
export const defaultSolver: UniPcSolver = { order: 2, uncorrected: [] };

type Plan = { readonly sigmas: Float32Array; readonly steps: number; readonly solver: UniPcSolver };

/** UniPC over N steps; a count out of range is FIELD_INVALID. */
export function createUniPc(schedule: FlowSchedule, solver: UniPcSolver, steps: number): Scheduler {
  requireStepCount(schedule.trainTimesteps, steps);
  const { timesteps, sigmas } = unipcTable(schedule, steps);
  return {
    timesteps,
    beginning: { tensors: {}, counts: countsAfter({ sigmas, steps, solver }, -1) },
    memoriesBefore: (index) => ({
      tensors: index === 0 ? [] : ["last_sample", ...outputNames(Math.min(index, solver.order))],
      counts: ["lower_order_nums", "this_order"],
    }),
    step: (input) => takeStep({ sigmas, steps, solver }, input),
  };
}

function takeStep(plan: Plan, input: SchedulerStep): SchedulerResult {
  const { index, latents, velocity, state } = input;
  const { solver, sigmas } = plan;
  requireStepLeft(plan.steps, index);
  const output = predictClean(sigmas[index] as number, latents, velocity);
  const isCorrected = index > 0 && !solver.uncorrected.includes(index - 1);
  const sample = isCorrected ? correct(plan, input, output) : latents.slice();
  requireCounts(plan, index, state);
  const order = orderAt(plan, index);
  const kept = outputNames(Math.min(index, solver.order - 1)).map((name) => tensorOf(state, name, latents.length));
  const outputs = [output, ...kept];
  const tensors: Record<string, Float32Array> = { last_sample: sample };
  outputs.forEach((values, age) => (tensors[outputName(age)] = values));
  return {
    latents: predict(plan, { sample, outputs, order, index }),
    state: { tensors, counts: countsAfter(plan, index) },
  };
}

/** The sample of this step in the light of its own output; replaces what the step before predicted. */
function correct(plan: Plan, { index, latents, state }: SchedulerStep, output: Float32Array): Float32Array {
  const order = orderAt(plan, index - 1);
  const { system, ...weights } = updateWeights({ sigmas: plan.sigmas, from: index - 1, to: index, order });
  const rhos = order === 1 ? [0.5] : solveSystem(system, order);
  const outputs = outputNames(order).map((name) => tensorOf(state, name, latents.length));
  return combine({ ...weights, rhos }, { sample: tensorOf(state, "last_sample", latents.length), outputs, ahead: output });
}

type Prediction = {
  readonly sample: Float32Array;
  readonly outputs: readonly Float32Array[];
  readonly order: number;
  readonly index: number;
};

function predict(plan: Plan, { sample, outputs, order, index }: Prediction): Float32Array {
  const { system, ...weights } = updateWeights({ sigmas: plan.sigmas, from: index, to: index + 1, order });
  const rhos = order <= 2 ? [0.5].slice(0, order - 1) : solveSystem(system, order - 1);
  return combine({ ...weights, rhos }, { sample, outputs, ahead: undefined });
}

/** x − σ·v: float32 [n], a fresh array. */
function predictClean(sigma: number, latents: Float32Array, velocity: Float32Array): Float32Array {
  return latents.map((value, place) => value - fround(sigma * (velocity[place] as number)));
}

type Weights = {
  readonly sample: number;
  readonly output: number;
  readonly ratios: readonly number[];
  /** One for each ratio, then one for `ahead` where it is there. */
  readonly rhos: readonly number[];
};

type Parts = {
  readonly sample: Float32Array;
  /** The newest first: m₁, m₂, …, at least one more than there are ratios. */
  readonly outputs: readonly Float32Array[];
  /** The output at the end of the stretch; known to the corrector only. */
  readonly ahead: Float32Array | undefined;
};

/** a·x − w·m₁ − w·(Σ ρ_k·(m_{k+1} − m₁)/r_k + ρ·(ahead − m₁)): float32 [n], a fresh array. */
function combine(weights: Weights, { sample, outputs, ahead }: Parts): Float32Array {
  const [newest = sample, ...older] = outputs;
  const { ratios, rhos } = weights;
  const lastRho = rhos.at(-1) ?? 0;
  return sample.map((value, place) => {
    const center = newest[place] as number;
    const base = fround(fround(weights.sample * value) - fround(weights.output * center));
    let bend = 0;
    for (let back = 0; back < ratios.length; back += 1) {
      const slope = fround(fround((older[back]?.[place] as number) - center) / (ratios[back] as number));
      bend = fround(bend + fround((rhos[back] as number) * slope));
    }
    if (ahead !== undefined) bend = fround(bend + fround(lastRho * fround((ahead[place] as number) - center)));
    return base - fround(weights.output * bend);
  });
}

/** The newest `count` outputs of a state. */
function outputNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, age) => outputName(age));
}

/** Age 0 is the output of the last step taken. */
function outputName(age: number): string {
  return `model_output_back_${age + 1}`;
}

function tensorOf(state: SchedulerState, name: string, length: number): Float32Array {
  const tensor = state.tensors[name];
  if (tensor?.length !== length) throw damaged(`${name} is missing or of another size`);
  return tensor;
}

/** How many outputs the predictor of a step reads: one more with each step, one at the last. */
function orderAt({ steps, solver }: Plan, index: number): number {
  return Math.min(solver.order, steps - index, index + 1);
}

/** The reference's two counts as a step leaves them; −1: before the first. */
function countsAfter(plan: Plan, index: number): SchedulerState["counts"] {
  return { lower_order_nums: Math.min(index + 1, plan.solver.order), this_order: index < 0 ? 0 : orderAt(plan, index) };
}

/** The counts follow from the step, so that a state of another step or solver is found out. */
function requireCounts(plan: Plan, index: number, { counts }: SchedulerState): void {
  for (const [name, count] of Object.entries(countsAfter(plan, index - 1))) {
    if (counts[name] !== count) throw damaged(`${name} is ${counts[name] ?? "missing"}, step ${index} begins with ${count}`);
  }
}

function damaged(reason: string): FarmError {
  return new FarmError("ARTIFACT_CORRUPT", { message: `the scheduler's state does not fit: ${reason}` });
}
