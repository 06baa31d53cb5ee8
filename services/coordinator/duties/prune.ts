/**
 * Prune: deletes what its retention no longer keeps, so that tables that only grow do not.
 */
import type { Logger } from "../../platform/logging.ts";
import type { DutyStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type PruneOptions = {
  readonly store: Pick<DutyStore, "prune">;
  readonly intervalMs: number;
  readonly logger: Logger;
};

/** The pruning rounds. */
export function createPrune({ store, intervalMs, logger }: PruneOptions): DutySpec {
  return {
    name: "prune",
    intervalMs,
    async run(epoch) {
      const rows = await store.prune(epoch);
      if (rows > 0) logger.info({ rows }, "pruned rows");
    },
  };
}
