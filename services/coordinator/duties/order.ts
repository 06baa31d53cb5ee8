/**
 * The order of claims, looked after: shares are added up and rebased, empty lanes go, and what memory each pool's workers have is noted (design §5).
 *
 * Claims work without it for as long as it may be missing; what is late then is only that.
 */
import type { Logger } from "../../platform/logging.ts";
import type { DutyStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type OrderOptions = {
  readonly store: Pick<DutyStore, "tendOrder">;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly onRepaired: (count: number) => void;
};

/** The rounds of this duty. */
export function createOrder({ store, intervalMs, logger, onRepaired }: OrderOptions): DutySpec {
  return {
    name: "order",
    intervalMs,
    async run(epoch) {
      const missed = await store.tendOrder(epoch);
      onRepaired(missed);
      if (missed > 0) logger.error({ missed }, "ready tasks lay in no lane: report this as a bug");
    },
  };
}
