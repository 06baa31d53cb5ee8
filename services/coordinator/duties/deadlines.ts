/**
 * Deadlines: tells the watchers of jobs that are late, or will be (domain/deadline). It ends nothing.
 */
import type { Aftermath, DeadlineRound, PreemptionStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type DeadlinesOptions = {
  readonly store: Pick<PreemptionStore, "tellDeadlines">;
  readonly intervalMs: number;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly onTold: (told: DeadlineRound["told"]) => void;
};

/** The rounds of deadlines. */
export function createDeadlines({ store, intervalMs, onCommitted, onTold }: DeadlinesOptions): DutySpec {
  return {
    name: "deadlines",
    intervalMs,
    async run(epoch) {
      const { told, aftermath } = await store.tellDeadlines(epoch);
      onTold(told);
      onCommitted(aftermath);
    },
  };
}
