/**
 * Budgets: adds what was booked to the totals, and does what follows from them (domain/budget).
 *
 * A round that finds everything as it should be writes nothing. How soon a budget binds is the interval and the time of a round: running
 * attempts count with what their worker beat last, so that one long attempt does not run far beyond it.
 */
import { type BudgetDecision, decideBudgets } from "../../domain/budget.ts";
import type { Logger } from "../../platform/logging.ts";
import type { Aftermath, BooksStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type BudgetsOptions = {
  readonly store: Pick<BooksStore, "totalUsage" | "budgetSnapshot" | "applyBudgets">;
  readonly intervalMs: number;
  /** Longest that a round adds to the totals; well under the duty's hold. The next round goes on. */
  readonly budgetMs: number;
  /** Monotonic, in ms. */
  readonly clock: () => number;
  readonly logger: Logger;
  readonly onCommitted: (aftermath: Aftermath) => void;
};

/** The rounds of budgets. */
export function createBudgets({ store, intervalMs, budgetMs, clock, logger, onCommitted }: BudgetsOptions): DutySpec {
  return {
    name: "budgets",
    intervalMs,
    async run(epoch, signal) {
      const untilMs = clock() + budgetMs;
      for (let added = 1; added > 0 && !signal.aborted && clock() < untilMs;) added = await store.totalUsage(epoch);
      const decision = decideBudgets(await store.budgetSnapshot());
      if (decision === undefined) return;
      tell(logger, decision);
      onCommitted(await store.applyBudgets(epoch, decision));
    },
  };
}

function tell(logger: Logger, { notices, cancels, releases, resumes }: BudgetDecision): void {
  for (const { tenant, jobId, message } of notices) logger.warn({ tenant, jobId }, message);
  for (const { jobId, message } of cancels) logger.warn({ jobId }, `${message}: the job is cancelled`);
  if (releases.length + resumes.length > 0) logger.info({ tenants: releases, jobs: resumes }, "budgets let work go on");
}
