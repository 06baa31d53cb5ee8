/**
 * How long steps take on this device, to decide when a cancelled run has had its chance (design §10).
 */

const leastGraceMs = 5_000;
const kept = 512;

/** Step times of one stage, newest last; oldest are forgotten. */
export type StepTimes = readonly number[];

/** The times with one more. */
export function withStep(times: StepTimes, ms: number): StepTimes {
  return [...times.slice(-(kept - 1)), ms];
}

/** 99th percentile (nearest rank) in ms; 0 of none. */
export function p99Ms(times: StepTimes): number {
  const sorted = times.toSorted((left, right) => left - right);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
}

/** How long a cancelled run may go on before its runtime is killed: 2 × p99 step or 5 s, whichever is later. */
export function cancelGraceMs(times: StepTimes, leastMs: number = leastGraceMs): number {
  return Math.max(leastMs, 2 * p99Ms(times));
}
