/**
 * Prune: deletes what its retention no longer keeps, so that tables that only grow do not.
 *
 * In batches, each a transaction of its own, until none is left or the round has taken its time; the next round goes on.
 */
import type { Logger } from "../../platform/logging.ts";
import type { DutyStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type PruneOptions = {
  readonly store: Pick<DutyStore, "prune">;
  readonly intervalMs: number;
  /** Longest that a round goes on; well under the duty's hold, which is renewed between rounds only. */
  readonly budgetMs: number;
  /** Monotonic, in ms. */
  readonly clock: () => number;
  readonly logger: Logger;
};

/** The pruning rounds. */
export function createPrune({ store, intervalMs, budgetMs, clock, logger }: PruneOptions): DutySpec {
  return {
    name: "prune",
    intervalMs,
    async run(epoch, signal) {
      const untilMs = clock() + budgetMs;
      let rows = 0;
      for (let deleted = 1; deleted > 0 && !signal.aborted && clock() < untilMs; rows += deleted) deleted = await store.prune(epoch);
      if (rows > 0) logger.info({ rows }, "pruned rows");
    },
  };
}
