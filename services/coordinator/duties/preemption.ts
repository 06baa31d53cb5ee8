/**
 * Preemption: runs that make way for tasks that come first (design §5), decided by domain/preemption.
 *
 * It also counts how long stops took, whatever asked for them: one coordinator at a time, so that each is counted once.
 */
import type { PreemptionPolicy } from "../../domain/preemption.ts";
import type { Logger } from "../../platform/logging.ts";
import type { Aftermath, PreemptionRound, PreemptionStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type PreemptionOptions = {
  readonly store: Pick<PreemptionStore, "preempt">;
  readonly policy: PreemptionPolicy;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly onPreempted: (round: PreemptionRound) => void;
};

/** The preemption's rounds. */
export function createPreemptionDuty({ store, policy, intervalMs, logger, onCommitted, onPreempted }: PreemptionOptions): DutySpec {
  return {
    name: "preemption",
    intervalMs,
    async run(epoch) {
      const round = await store.preempt(epoch, policy);
      onPreempted(round);
      if (round.opened.length > 0) logger.info({ reasons: round.opened }, "runs make way for tasks that come first");
      onCommitted(round.aftermath);
    },
  };
}
