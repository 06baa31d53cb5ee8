/**
 * What the coordinator asks of the books: prices, budgets, and whether rows and ledger agree.
 */
import type { Budget, BudgetDecision, BudgetLevel, BudgetSnapshot } from "../../domain/budget.ts";
import type { Aftermath } from "./aftermath-contract.ts";
import type { TenantScope } from "./job-contract.ts";

export type PriceView = {
  readonly pool: string;
  readonly nanosPerHour: bigint;
  readonly currency: string;
  readonly validFrom: Date;
  readonly setBy: string;
  readonly setAt: Date;
};

/** `validFrom` undefined: now. */
export type SetPrice = Pick<PriceView, "pool" | "nanosPerHour" | "currency"> & { readonly validFrom: Date | undefined };

/** `past`: a price begins now or later; `currency`: the farm has another. */
export type SetPriceOutcome =
  { readonly kind: "set"; readonly validFrom: Date } | { readonly kind: "past" } | { readonly kind: "currency"; readonly currency: string };

/** Of a job the tenant is its own. `currency` is looked at where the unit is money. */
export type SetBudget = Omit<Budget, "spent"> & { readonly reason: string };

export type BudgetView = Budget & {
  readonly reason: string;
  readonly setBy: string;
  readonly setAt: Date;
  readonly level: BudgetLevel;
};

export type SetBudgetOutcome =
  | { readonly kind: "set"; readonly budget: BudgetView }
  | { readonly kind: "currency"; readonly currency: string }
  | { readonly kind: "unknown" };

export type BudgetName = Pick<Budget, "jobId" | "unit" | "period"> & { readonly tenant: string | undefined };

/** Booked device time of all time. */
export type UsageTotal = { readonly pool: string; readonly outcome: string; readonly deviceMs: number; readonly costNanos: bigint };

/** A `dutyEpoch` is that of the duty `budgets`. */
export type BooksStore = {
  setPrice(price: SetPrice, by: string): Promise<SetPriceOutcome>;
  /** By pool, the latest first. */
  listPrices(): Promise<readonly PriceView[]>;
  setBudget(budget: SetBudget, by: string): Promise<SetBudgetOutcome>;
  listBudgets(scope: TenantScope): Promise<readonly BudgetView[]>;
  /** What it stopped goes on with the next round of the duty. */
  deleteBudget(name: BudgetName): Promise<boolean>;
  /** A budget of the tenant, or of the job when one is named, of which nothing is left. */
  usedUpBudget(tenant: string, jobId?: string): Promise<BudgetView | undefined>;
  /** Adds what was booked since to the totals; how many bookings it was. */
  totalUsage(dutyEpoch: number): Promise<number>;
  budgetSnapshot(): Promise<BudgetSnapshot>;
  /** Nothing when a budget that was looked at has changed since. */
  applyBudgets(dutyEpoch: number, decision: BudgetDecision): Promise<Aftermath>;
  usageTotals(): Promise<readonly UsageTotal[]>;
  /** Attempts booked since then whose row is not the sum of their entries; each is a bug. */
  unbalancedAttempts(from: Date, limit: number): Promise<readonly string[]>;
};
