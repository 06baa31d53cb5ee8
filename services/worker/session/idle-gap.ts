/**
 * The time that the device stands idle between two computes of a worker that has work (design §10).
 *
 * A gap in which the coordinator had nothing is no gap: it measures the farm's load, not the agent.
 */

export type IdleGap = {
  computeStarted(attemptId: string, nowMs: number): void;
  computeEnded(nowMs: number): void;
  nothingToDo(): void;
};

/** Reports each gap in ms. */
export function createIdleGap(report: (gapMs: number) => void): IdleGap {
  let idleSinceMs: number | undefined;
  let startedId: string | undefined;
  return {
    computeStarted(attemptId, nowMs) {
      if (attemptId === startedId) return;
      startedId = attemptId;
      if (idleSinceMs !== undefined) report(nowMs - idleSinceMs);
      idleSinceMs = undefined;
    },
    computeEnded(nowMs) {
      idleSinceMs = nowMs;
    },
    nothingToDo() {
      idleSinceMs = undefined;
    },
  };
}
