/**
 * When a busy worker asks ahead for its next task: a pure choice (design §5).
 *
 * A reservation keeps a task from other workers, so it is asked for no earlier than its fetching needs; asked for later, the device
 * would stand idle. How long asking and fetching surely take is estimated as TCP does for its timeouts (RFC 6298).
 */

/** A time that differs from case to case. */
export type Estimate = { readonly meanMs: number; readonly deviationMs: number };

const meanWeight = 1 / 8;
const deviationWeight = 1 / 4;
const deviations = 4;
/** While nothing was measured. */
const unknownMs = 500;
/** The end of a run is not known better than this. */
const leastLeadMs = 100;

/** The estimate after one more case. */
export function withSample(estimate: Estimate | undefined, ms: number): Estimate {
  if (estimate === undefined) return { meanMs: ms, deviationMs: ms / 2 };
  const { meanMs, deviationMs } = estimate;
  return {
    meanMs: meanMs + meanWeight * (ms - meanMs),
    deviationMs: deviationMs + deviationWeight * (Math.abs(ms - meanMs) - deviationMs),
  };
}

/** What hardly a case exceeds. */
export function surelyMs(estimate: Estimate | undefined): number {
  return estimate === undefined ? unknownMs : estimate.meanMs + deviations * estimate.deviationMs;
}

type AheadFacts = {
  readonly nowMs: number;
  /** Until the device is free; undefined while nobody knows, and then it is not asked ahead. */
  readonly leftMs: number | undefined;
  readonly ask: Estimate | undefined;
  readonly fetch: Estimate | undefined;
};

/** When to ask, on the clock of `nowMs`; undefined for not yet known. */
export function askAheadAtMs({ nowMs, leftMs, ask, fetch }: AheadFacts): number | undefined {
  if (leftMs === undefined) return undefined;
  return nowMs + leftMs - Math.max(leastLeadMs, surelyMs(ask) + surelyMs(fetch));
}
