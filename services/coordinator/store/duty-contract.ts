/**
 * What duties ask of the store.
 */
import type { Aftermath } from "./aftermath-contract.ts";
import type { EventView } from "./job-contract.ts";

export type ReapOutcome = {
  readonly kind: "reaped" | "held_back" | "nothing";
  /** Why reaping was held back: beat path not proven, or too many lapsed at once. */
  readonly reason: string | undefined;
  readonly sessions: number;
  readonly attempts: number;
  /** Sessions that were left because a move that ending them takes was refused as illegal; each is a bug. */
  readonly refused: number;
  /** True when much of a pool lapsed at once: raise an alert. */
  readonly massLapse: boolean;
  readonly aftermath: Aftermath;
};

/** An event that is not copied, and how many renders its job has. */
export type UnsentEvent = EventView & { readonly jobRenders: number };

/**
 * What duties call on a timer; each is one transaction, safe to call twice, and does nothing under an epoch that is over.
 * A `dutyEpoch` is that of the duty's own row: `reaper`, `promotion`, `sweep`, `collection`, `prune`, `order`.
 */
export type DutyStore = {
  /** Takes or renews the row of a duty; undefined when another holder's time is not up. */
  holdDuty(name: string, holder: string, holdMs: number): Promise<{ readonly epoch: number } | undefined>;
  releaseDuty(name: string, holder: string): Promise<void>;
  /** The canary's beat arrived: `senderElapsedMs` since its last one by the sender's monotonic clock. */
  recordCanary(senderElapsedMs: number): Promise<{ readonly unbrokenMs: number }>;
  reap(dutyEpoch: number): Promise<ReapOutcome>;
  /** Delayed tasks whose back-off ended become ready. */
  promoteDelayed(dutyEpoch: number): Promise<Aftermath>;
  /** Keeps shares and lanes in order (domain/order.ts); returns how many lanes were missing, each of them a bug. */
  tendOrder(dutyEpoch: number): Promise<number>;
  /** Finds and repairs what should never be (design §4.2); each find counts as a bug. */
  sweep(dutyEpoch: number): Promise<{ readonly repaired: number; readonly aftermath: Aftermath }>;
  /** Raised by each recovery. */
  farmEpoch(): Promise<number>;
  unsentEvents(limit: number): Promise<readonly UnsentEvent[]>;
  /** Returns the number up to which they were marked before; undefined when they were already marked so far. */
  markEventsSent(jobId: string, upToNumber: number): Promise<number | undefined>;
  /** Condemns unreferenced artifacts; returns those whose waiting time is over. */
  condemnArtifacts(dutyEpoch: number): Promise<readonly string[]>;
  /** Runs `remove` under the row lock if still unreferenced, then deletes the row. */
  collectArtifact(sha256: string, remove: () => Promise<void>): Promise<"collected" | "kept">;
  /** Deletes a batch of what its retention no longer keeps: stored answers, old sessions, sent events, usage, attempts. 0: none is left. */
  prune(dutyEpoch: number): Promise<number>;
};
