/**
 * Delayed promotion: tasks whose back-off has ended become ready.
 */
import type { Aftermath, DutyStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type PromotionOptions = {
  readonly store: Pick<DutyStore, "promoteDelayed">;
  /** Also how late a task may become ready. */
  readonly intervalMs: number;
  readonly onCommitted: (aftermath: Aftermath) => void;
};

/** The promotion's rounds. */
export function createPromotion({ store, intervalMs, onCommitted }: PromotionOptions): DutySpec {
  return {
    name: "promotion",
    intervalMs,
    async run(epoch) {
      onCommitted(await store.promoteDelayed(epoch));
    },
  };
}
