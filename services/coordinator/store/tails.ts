/**
 * Log tails of attempts whose worker was lost, kept with them.
 */
import { runStatement } from "../../platform/database/pool.ts";
import { keepTailStatement, tailNeedsStatement } from "./sql/tails.ts";
import type { StoreContext } from "./store-context.ts";
import type { TailStore } from "./store-contract.ts";

/** The part of the store that keeps what lost workers said last. */
export function createTails({ pool }: StoreContext): TailStore {
  return {
    tailNeeds: (attemptIds) =>
      runStatement<{ readonly attemptId: string; readonly isRunning: boolean }>(pool, tailNeedsStatement, [attemptIds]),
    async keepTail(attemptId, logTail) {
      const [kept] = await runStatement<{ readonly worker: string }>(pool, keepTailStatement, [attemptId, logTail]);
      return kept;
    },
  };
}
