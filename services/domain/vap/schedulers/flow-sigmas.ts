/**
 * σ(i), how much noise is left before each step of a flow-matching render, and what the model is told of it (spec §3.4, §3.5).
 *
 * Sources: diffusers 0.34, scheduling_unipc_multistep.py:379-398 and scheduling_flow_match_euler_discrete.py:117-135, 294-345. float64 as numpy
 * there, rounded to float32 once at the end. Both shift alike, σ' = s·σ/(1 + (s − 1)·σ), but not the same σ: UniPC spreads 0.999 … 0 and drops
 * the 0; Euler spreads between bounds that are shifted already, so that its lower part is shifted twice. Later diffusers (0.42) spread
 * UniPC's σ from 1 instead; the reference and the golden cases are of the older kind.
 */

export type FlowSchedule = {
  /** Length of the training schedule, 1000 for every released model. */
  readonly trainTimesteps: number;
  /** s, above 0; 1 changes nothing. */
  readonly shift: number;
};

export type FlowTable = {
  /** What the model is told, N of them; integers for UniPC, float32 numbers for Euler. */
  readonly timesteps: readonly number[];
  /** float32 [N+1], falling, the last one 0. */
  readonly sigmas: Float32Array;
};

/** UniPC's table; timesteps are truncated from the float64 σ. */
export function unipcTable({ trainTimesteps, shift }: FlowSchedule, steps: number): FlowTable {
  const alphas = linspace(1, 1 / trainTimesteps, steps + 1);
  const sigmas = alphas.map((alpha) => shiftSigma(shift, 1 - alpha)).reverse();
  sigmas[steps] = 0;
  return { timesteps: sigmas.slice(0, steps).map((sigma) => Math.trunc(sigma * trainTimesteps)), sigmas: Float32Array.from(sigmas) };
}

/** Euler's table; timesteps are multiplied from the float32 σ. */
export function eulerTable({ trainTimesteps, shift }: FlowSchedule, steps: number): FlowTable {
  const bound = (timestep: number): number => shiftSigma32(shift, Math.fround(timestep / trainTimesteps)) * trainTimesteps;
  const spread = linspace(bound(trainTimesteps), bound(1), steps);
  const sigmas = Float32Array.from([...spread.map((timestep) => shiftSigma(shift, timestep / trainTimesteps)), 0]);
  return { timesteps: [...sigmas.subarray(0, steps)].map((sigma) => Math.fround(sigma * trainTimesteps)), sigmas };
}

/**
 * Whether the reference fails on these timesteps after all its work: it looks the first one up by value and takes the second place that has
 * it, so that every step is one too far and the last has no σ to go to (index_for_timestep). Here a step's index is its place in the loop.
 */
export function referenceFails(timesteps: readonly number[]): boolean {
  return timesteps.length > 1 && timesteps[0] === timesteps[1];
}

/** numpy's, float64. */
function shiftSigma(shift: number, sigma: number): number {
  return (shift * sigma) / (1 + (shift - 1) * sigma);
}

/** torch's, every operation rounded to float32. */
function shiftSigma32(shift: number, sigma: number): number {
  const shifted = Math.fround(Math.fround(shift) * sigma);
  return Math.fround(shifted / Math.fround(1 + Math.fround(Math.fround(shift - 1) * sigma)));
}

/** numpy.linspace in float64: multiples of one stride, and the end exactly. */
function linspace(start: number, end: number, count: number): number[] {
  const stride = (end - start) / (count - 1);
  return Array.from({ length: count }, (_, index) =>
    index > 0 && index === count - 1 ? end : index === 0 ? start : index * stride + start,
  );
}
