/**
 * What a commit changed that others should hear of.
 */

export type Level = "wanted" | "unwanted" | "preempt" | "drain" | "revoked";

/** How many tasks became ready, for waking workers after the commit. */
export type ReadyCount = { readonly pool: string; readonly shape: string; readonly count: number };

/** An attempt that should hear a level at once. */
export type LevelPush = { readonly workerId: string; readonly attemptId: string; readonly level: Level };

/** Tasks that a failure lets run again, by the class that it was charged as. */
export type RetriedCount = { readonly errorClass: string; readonly count: number };

/** Tasks that renders were given and that were done already. */
export type ReusedCount = { readonly stage: string; readonly count: number };

/** What changed that others should hear of after the commit. */
export type Aftermath = {
  readonly ready: readonly ReadyCount[];
  /** Jobs that got new event rows. */
  readonly touchedJobIds: readonly string[];
  /** Attempts that nobody wants any more: a job of theirs was cancelled or failed. */
  readonly pushes?: readonly LevelPush[];
  /** Renders were stored that wait for the window of their pool: the duty `expand` has something to do. */
  readonly hasWaiting?: boolean;
  /** For counting. */
  readonly retried?: readonly RetriedCount[];
  /** For counting. */
  readonly reused?: readonly ReusedCount[];
};
