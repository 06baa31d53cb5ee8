/**
 * Books: compares what attempts have in the books with the sum of their ledger entries. They are written together; a difference is a bug.
 */
import type { Logger } from "../../platform/logging.ts";
import type { BooksStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type BooksOptions = {
  readonly store: Pick<BooksStore, "unbalancedAttempts">;
  readonly intervalMs: number;
  readonly now: () => Date;
  readonly logger: Logger;
  readonly onUnbalanced: (attempts: number) => void;
};

const mostTold = 100;
/** Each attempt is looked at in several rounds: a correction may come between two. */
const rounds = 3;

/** The rounds of comparing. */
export function createBooksCheck({ store, intervalMs, now, logger, onUnbalanced }: BooksOptions): DutySpec {
  return {
    name: "books",
    intervalMs,
    async run() {
      const attempts = await store.unbalancedAttempts(new Date(now().getTime() - rounds * intervalMs), mostTold);
      onUnbalanced(attempts.length);
      if (attempts.length > 0) logger.error({ attempts }, "the books are not the sum of the ledger: report this as a bug");
    },
  };
}
