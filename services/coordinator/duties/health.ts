/**
 * Judges the workers by what they ended last (domain/worker-health): too much that failed there alone suspends one, time and successes
 * bring it back.
 */
import type { Logger } from "../../platform/logging.ts";
import type { Aftermath, HealthStore, JudgeOutcome } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type HealthOptions = {
  readonly store: Pick<HealthStore, "judgeWorkers">;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly onJudged: (outcome: JudgeOutcome) => void;
};

/** The rounds; who is held back is logged when it changes. */
export function createHealthDuty({ store, intervalMs, logger, onCommitted, onJudged }: HealthOptions): DutySpec {
  let told = "";
  return {
    name: "health",
    intervalMs,
    async run(epoch) {
      const outcome = await store.judgeWorkers(epoch);
      onJudged(outcome);
      for (const { name, pool, state, reason, forMs } of outcome.changes) {
        if (state === "suspended") logger.warn({ worker: name, pool, forMs }, `a worker is suspended: ${reason}`);
        else logger.info({ worker: name, pool, state }, `a worker is judged anew: ${reason}`);
      }
      const heldBack = outcome.heldBack.join(", ");
      if (heldBack !== told && heldBack !== "") {
        const cause = "look for a cause that they share (model, artifact store, driver) before the machines";
        logger.error({ workers: heldBack }, `much fails on so many workers of a pool that these are not suspended: ${cause}`);
      }
      told = heldBack;
      for (const aftermath of outcome.aftermaths) onCommitted(aftermath);
    },
  };
}
