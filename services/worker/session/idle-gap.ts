/**
 * The time that the device stands idle between two computes of a worker that has work (design §10), as its runtime measures it.
 *
 * A gap in which the coordinator had nothing is no gap: it measures the farm's load, not the agent.
 */

export type IdleGap = {
  /** A run began; how long the device was idle before, undefined for a runtime's first. */
  computeStarted(idleMs: number | undefined): void;
  nothingToDo(): void;
};

/** Reports each gap in ms. */
export function createIdleGap(report: (gapMs: number) => void): IdleGap {
  let hadWork = false;
  return {
    computeStarted(idleMs) {
      if (hadWork && idleMs !== undefined) report(idleMs);
      hadWork = true;
    },
    nothingToDo() {
      hadWork = false;
    },
  };
}
