/**
 * How an orderly stop divides its time: a pure choice.
 *
 * What runs may end within the drain time; what does not is given back within the time to settle. A run whose step is long needs more than
 * that to leave with its last checkpoint, so it is asked earlier: the stop as a whole takes no longer, because whoever stops the
 * process counts on it.
 */

export type DrainTimes = {
  /** For what runs to end by itself. */
  readonly waitMs: number;
  /** For what was stopped to be reported. */
  readonly settleMs: number;
};

type DrainLimits = {
  readonly drainMs: number;
  readonly settleMs: number;
  /** Nothing is waited for: all the time is for what is asked to leave. */
  readonly leaveAtOnce: boolean;
};

/** `leaveMs`: how long the slowest run may take to end at its next step and have its last checkpoint told. */
export function drainTimes({ drainMs, settleMs, leaveAtOnce }: DrainLimits, leaveMs: number): DrainTimes {
  const earlyMs = leaveAtOnce ? drainMs : Math.min(drainMs, Math.max(0, leaveMs - settleMs));
  return { waitMs: drainMs - earlyMs, settleMs: settleMs + earlyMs };
}
