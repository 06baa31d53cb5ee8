/**
 * The sweep: finds and repairs what should never be, e.g. a blocked task whose inputs are all there (design §4.2). Each find is a bug.
 */
import type { Logger } from "../../platform/logging.ts";
import type { Aftermath, DutyStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type SweepOptions = {
  readonly store: Pick<DutyStore, "sweep">;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly onRepaired: (count: number) => void;
};

/** The sweep's rounds. */
export function createSweep({ store, intervalMs, logger, onCommitted, onRepaired }: SweepOptions): DutySpec {
  return {
    name: "sweep",
    intervalMs,
    async run(epoch) {
      const { repaired, aftermath } = await store.sweep(epoch);
      onRepaired(repaired);
      if (repaired > 0) logger.error({ repaired }, "the sweep repaired tasks: report this as a bug");
      onCommitted(aftermath);
    },
  };
}
