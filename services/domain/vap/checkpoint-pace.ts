/**
 * When a run writes its next checkpoint: every so many steps or so many milliseconds, whichever comes first, but never so often that
 * checkpoints take more than their share of the run's time.
 *
 * Invariant: the wait before a checkpoint is at least the last one's cost over the share, the first one's being assumed from its size. So
 * all of them together stay within the share as long as none costs more than the one before it, and nothing is written in a run that is
 * too short for one.
 */

export type CheckpointPace = {
  /** Steps between two; 0: steps do not matter. */
  readonly everySteps: number;
  /** Time between two; 0: time does not matter. */
  readonly everyMs: number;
  /** Most of the run's time that they may take, e.g. 0.01; 0: any. */
  readonly mostShare: number;
};

/** A point of the run at which nothing of it would be lost: its beginning, or its last checkpoint. */
export type KeptPoint = {
  readonly step: number;
  /** When it was reached, on a monotonic clock. */
  readonly atMs: number;
  /** What the last checkpoint cost, or the first is assumed to cost. */
  readonly costMs: number;
};

const assumedOverheadMs = 5;
/** 500 MB/s: a slow disk's, so that the first is rather late than too early. */
const assumedBytesPerMs = 500_000;

/** Whether checkpoints are written at all. */
export function hasCheckpoints({ everySteps, everyMs }: CheckpointPace): boolean {
  return everySteps > 0 || everyMs > 0;
}

/** What a checkpoint of that size is assumed to cost before one was written, in ms. */
export function assumedCostMs(bytes: number): number {
  return assumedOverheadMs + bytes / assumedBytesPerMs;
}

/** Whether a run that has taken `step` steps at `nowMs` writes a checkpoint. */
export function isCheckpointDue(pace: CheckpointPace, kept: KeptPoint, now: { readonly step: number; readonly nowMs: number }): boolean {
  const steps = now.step - kept.step;
  const elapsedMs = now.nowMs - kept.atMs;
  if (steps < 1) return false;
  if (pace.mostShare > 0 && elapsedMs < kept.costMs / pace.mostShare) return false;
  return (pace.everySteps > 0 && steps >= pace.everySteps) || (pace.everyMs > 0 && elapsedMs >= pace.everyMs);
}
