import { describe, expect, it } from "vitest";
import { createBooksCheck } from "../../../services/coordinator/duties/books.ts";
import { createBudgets } from "../../../services/coordinator/duties/budgets.ts";
import type { Aftermath, BooksStore } from "../../../services/coordinator/store/store-contract.ts";
import type { BudgetDecision, BudgetSnapshot } from "../../../services/domain/budget.ts";
import { createLogger } from "../../../services/platform/logging.ts";

const logger = createLogger({ name: "test", level: "silent" });
const aftermath: Aftermath = { ready: [{ pool: "p", shape: "s", count: 1 }], touchedJobIds: [], pushes: [] };
const quiet: BudgetSnapshot = { budgets: [], month: "2026-03-01", heldTenants: [], stoppedJobs: [] };

function playBudgets(snapshot: BudgetSnapshot, bookings: number[]) {
  const calls: string[] = [];
  const decisions: BudgetDecision[] = [];
  const committed: Aftermath[] = [];
  let nowMs = 0;
  const store: Pick<BooksStore, "totalUsage" | "budgetSnapshot" | "applyBudgets"> = {
    totalUsage(epoch) {
      calls.push(`total ${epoch}`);
      nowMs += 100;
      return Promise.resolve(bookings.shift() ?? 0);
    },
    budgetSnapshot: () => Promise.resolve(snapshot),
    applyBudgets(epoch, decision) {
      calls.push(`apply ${epoch}`);
      decisions.push(decision);
      return Promise.resolve(aftermath);
    },
  };
  const clock = () => nowMs;
  const onCommitted = (told: Aftermath) => void committed.push(told);
  const duty = createBudgets({ store, intervalMs: 1, budgetMs: 1_000, clock, logger, onCommitted });
  return { duty, calls, decisions, committed };
}

describe("a round of budgets", () => {
  it("adds up what was booked until nothing is left, and writes nothing more when all is as it should be", async () => {
    const { duty, calls, committed } = playBudgets(quiet, [1_000, 3]);
    await duty.run(7, new AbortController().signal);
    expect([calls, committed]).toEqual([["total 7", "total 7", "total 7"], []]);
  });

  it("judges budgets also when there is more to add up than it has time for", async () => {
    const endless = Array.from({ length: 99 }, () => 1_000);
    const { duty, calls, decisions, committed } = playBudgets({ ...quiet, heldTenants: ["a"] }, endless);
    await duty.run(7, new AbortController().signal);
    expect([calls.length, calls.at(-1)]).toEqual([11, "apply 7"]);
    expect(decisions).toMatchObject([{ releases: ["a"] }]);
    expect(committed).toEqual([aftermath]);
  });
});

describe("a round of the books", () => {
  it("looks at what was booked since three rounds ago and tells how many do not add up", async () => {
    const asked: Date[] = [];
    const told: number[] = [];
    const store: Pick<BooksStore, "unbalancedAttempts"> = {
      unbalancedAttempts(from) {
        asked.push(from);
        return Promise.resolve(["one", "two"]);
      },
    };
    const onUnbalanced = (attempts: number) => void told.push(attempts);
    const duty = createBooksCheck({ store, intervalMs: 1_000, now: () => new Date(10_000), logger, onUnbalanced });
    await duty.run(1, new AbortController().signal);
    expect([asked, told]).toEqual([[new Date(7_000)], [2]]);
  });
});
