/**
 * What the duties `preemption` and `deadlines` ask of the store.
 */
import type { DeadlineTold } from "../../domain/deadline.ts";
import type { PreemptionPolicy, PreemptionReason } from "../../domain/preemption.ts";
import type { Aftermath } from "./aftermath-contract.ts";

/** How a preemption ended: its worker took the beneficiary, another did, or nobody needs to (RUNBOOK has the words). */
type PreemptionOutcome = "given" | "elsewhere" | "unneeded" | "withdrawn" | "worker_gone" | "expired";

/** An attempt that ended without a result after it was told to stop: how long that took, by the database's clock. */
type StopTime = { readonly level: "unwanted" | "preempt" | "drain"; readonly tookMs: number };

export type PreemptionRound = {
  readonly opened: readonly PreemptionReason[];
  /** Closed since the last round, by whatever. */
  readonly closed: readonly PreemptionOutcome[];
  /** Since the last round. */
  readonly stops: readonly StopTime[];
  readonly aftermath: Aftermath;
};

export type DeadlineRound = { readonly told: readonly Exclude<DeadlineTold, "nothing">[]; readonly aftermath: Aftermath };

/** Each is safe to call twice, and does nothing under an epoch that is over: that of the duty's own row. */
export type PreemptionStore = {
  /** Reads, decides (domain/preemption) and applies what then still holds. Counts each stop and each end once over all coordinators. */
  preempt(dutyEpoch: number, policy: PreemptionPolicy): Promise<PreemptionRound>;
  /** Tells the watchers of jobs whose deadline is at risk or was missed, each once a deadline. */
  tellDeadlines(dutyEpoch: number): Promise<DeadlineRound>;
};
