/**
 * When a webhook that was not taken is tried again: pure.
 *
 * The steps cover two days: a receiver's restart, an evening's outage, a weekend day that nobody looks. Jitter of a tenth either way keeps
 * what failed together from coming back together.
 */
const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/** Waits after the first, second .. failed try. */
export const webhookWaitsMs: readonly number[] = [
  5 * secondMs,
  30 * secondMs,
  2 * minuteMs,
  10 * minuteMs,
  hourMs,
  3 * hourMs,
  6 * hourMs,
  12 * hourMs,
  24 * hourMs,
];

const jitterShare = 0.1;

/** The wait after so many failed tries (1 ..), with a draw from [0, 1); undefined: given up. */
export function webhookWaitMs(failedTries: number, draw: number): number | undefined {
  const waitMs = webhookWaitsMs[failedTries - 1];
  return waitMs === undefined ? undefined : Math.round(waitMs * (1 + jitterShare * (2 * draw - 1)));
}
