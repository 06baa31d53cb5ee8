/**
 * Progress, not pulse (design §4.5): how long a run's counter may stand still before the runtime is killed.
 */

export type StallLimits = {
  /** Least time a step is given. */
  readonly stallMs: number;
  /** While an engine loads or is built. */
  readonly loadMs: number;
  /** While nobody knows how long a step takes. */
  readonly unknownStepMs: number;
};

export type RunProgress = {
  /** As the runtime names it; "load" while an engine is opened, and before the first message. */
  readonly phase: string;
  readonly counter: bigint;
  /** Expected time of one step in ms, 0 while unknown. */
  readonly stepMs: number;
  /** Monotonic time at which the counter last moved. */
  readonly movedAtMs: number;
};

const stepsAllowed = 5;

/** A run that has only been sent. */
export function sentRun(nowMs: number): RunProgress {
  return { phase: "load", counter: -1n, stepMs: 0, movedAtMs: nowMs };
}

/** The progress after a message; only a counter that grew counts as movement. */
export function advanced(progress: RunProgress, message: Omit<RunProgress, "movedAtMs">, nowMs: number): RunProgress {
  const moved = message.counter > progress.counter;
  return moved ? { ...message, movedAtMs: nowMs } : progress;
}

/** How long the counter may stand still; `expectedStepMs` is used while the runtime tells no step time. */
export function stallLimitMs(progress: RunProgress, expectedStepMs: number, limits: StallLimits): number {
  if (progress.phase === "load") return limits.loadMs;
  const stepMs = progress.stepMs > 0 ? progress.stepMs : expectedStepMs;
  return stepMs > 0 ? Math.max(limits.stallMs, stepsAllowed * stepMs) : Math.max(limits.stallMs, limits.unknownStepMs);
}
