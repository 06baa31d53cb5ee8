/**
 * What follows from budgets: who is warned, who starts nothing more, what is cancelled, and what is let go on.
 *
 * Pure. Decided anew in each round from what is spent and what is in force, so that a round that was lost, a limit that was raised, a budget
 * that was deleted or a new month needs nothing of its own. A stop holds what is not running; a cancel ends what is open. A budget counts
 * what was spent, also what was wasted, and what running attempts have spent so far. Months are UTC's.
 */
import { moneyText } from "./money.ts";

/** Nanos of the farm's currency, or microseconds of device time. */
export type BudgetUnit = "money" | "gpu_time";
export type BudgetPeriod = "total" | "month";
export type BudgetAction = "stop" | "cancel";
/** Each follows from what is spent; `warned` at four fifths. */
export type BudgetLevel = "open" | "warned" | "reached";

/** What a budget limits, and how. */
export type Budget = {
  readonly tenant: string;
  /** Undefined: all of the tenant. */
  readonly jobId: string | undefined;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly action: BudgetAction;
  readonly allowed: bigint;
  readonly spent: bigint;
  readonly currency: string;
};

/** A budget as it was decided last, and the open jobs of its scope, if it acts on them. */
export type BudgetFacts = Budget & {
  readonly id: string;
  readonly version: string;
  readonly level: BudgetLevel;
  /** First day of the month of that decision; of one over all time always the same. */
  readonly levelMonth: string;
  readonly openJobs: readonly string[];
};

export type BudgetSnapshot = {
  readonly budgets: readonly BudgetFacts[];
  /** First day of this month. */
  readonly month: string;
  /** Held by a budget now. */
  readonly heldTenants: readonly string[];
  readonly stoppedJobs: readonly string[];
};

/** What a round does; whoever applies it checks that `seen` is as it was. */
export type BudgetDecision = {
  readonly seen: readonly { readonly id: string; readonly version: string }[];
  readonly levels: readonly { readonly id: string; readonly level: BudgetLevel; readonly month: string }[];
  readonly holds: readonly { readonly tenant: string; readonly reason: string }[];
  readonly releases: readonly string[];
  readonly stops: readonly { readonly jobId: string; readonly reason: string }[];
  readonly resumes: readonly string[];
  readonly cancels: readonly { readonly jobId: string; readonly message: string }[];
  /** Told to the open jobs of the scope. */
  readonly notices: readonly {
    readonly tenant: string;
    readonly jobId?: string;
    readonly kind: "job.budget_warned" | "job.budget_reached";
    readonly message: string;
  }[];
};

const ranks: Readonly<Record<BudgetLevel, number>> = { open: 0, warned: 1, reached: 2 };

/** Where a budget stands: reached when nothing is left of it. */
export function levelOf({ spent, allowed }: Pick<Budget, "spent" | "allowed">): BudgetLevel {
  if (spent >= allowed) return "reached";
  return spent * 5n >= allowed * 4n ? "warned" : "open";
}

/** What to do; undefined when everything is as it should be. */
export function decideBudgets(snapshot: BudgetSnapshot): BudgetDecision | undefined {
  const { budgets, heldTenants, stoppedJobs } = snapshot;
  const judged = budgets.map((budget) => judge(budget, snapshot.month));
  const reached = judged.filter(({ level }) => level === "reached").map(({ budget }) => budget);
  const stopping = reached.filter(({ action }) => action === "stop");
  const held = new Map(stopping.filter(({ jobId }) => jobId === undefined).map((budget) => [budget.tenant, budgetText(budget)]));
  const stopped = new Map(stopping.filter(({ jobId }) => jobId !== undefined).flatMap(reasonsByJob));
  const cancelled = new Map(reached.filter(({ action }) => action === "cancel").flatMap(reasonsByJob));
  const decision: BudgetDecision = {
    seen: budgets.map(({ id, version }) => ({ id, version })),
    levels: judged.filter(({ hasMoved }) => hasMoved).map(({ budget, level, month }) => ({ id: budget.id, level, month })),
    holds: [...held].filter(([tenant]) => !heldTenants.includes(tenant)).map(([tenant, reason]) => ({ tenant, reason })),
    releases: heldTenants.filter((tenant) => !held.has(tenant)),
    stops: [...stopped].filter(([jobId]) => !stoppedJobs.includes(jobId)).map(([jobId, reason]) => ({ jobId, reason })),
    resumes: stoppedJobs.filter((jobId) => !stopped.has(jobId)),
    cancels: [...cancelled].map(([jobId, message]) => ({ jobId, message })),
    notices: judged.flatMap(noticesOf),
  };
  return hasWork(decision) ? decision : undefined;
}

function hasWork({ levels, holds, releases, stops, resumes, cancels, notices }: BudgetDecision): boolean {
  return [levels, holds, releases, stops, resumes, cancels, notices].some(({ length }) => length > 0);
}

function reasonsByJob(budget: BudgetFacts): readonly (readonly [string, string])[] {
  return budget.openJobs.map((jobId) => [jobId, budgetText(budget)]);
}

type Judged = {
  readonly budget: BudgetFacts;
  readonly level: BudgetLevel;
  readonly month: string;
  readonly hasMoved: boolean;
  readonly hasRisen: boolean;
};

/** A new month begins open, whatever the last one ended as. */
function judge(budget: BudgetFacts, thisMonth: string): Judged {
  const month = budget.period === "month" ? thisMonth : budget.levelMonth;
  const was = month === budget.levelMonth ? budget.level : "open";
  const level = levelOf(budget);
  const hasMoved = level !== budget.level || month !== budget.levelMonth;
  return { budget, level, month, hasMoved, hasRisen: ranks[level] > ranks[was] };
}

function noticesOf({ budget, level, hasRisen }: Judged): BudgetDecision["notices"] {
  const { tenant, jobId, action } = budget;
  if (!hasRisen) return [];
  // A job that is cancelled is told so by its cancellation.
  if (level === "reached" && action === "cancel") return [];
  const scope = jobId === undefined ? { tenant } : { tenant, jobId };
  if (level === "warned") return [{ ...scope, kind: "job.budget_warned", message: budgetText(budget) }];
  return [{ ...scope, kind: "job.budget_reached", message: `${budgetText(budget)}: nothing new is started` }];
}

/** For people: whose budget, how much of it is spent. */
export function budgetText({ tenant, jobId, unit, period, allowed, spent, currency }: Budget): string {
  const amount = (value: bigint): string => (unit === "money" ? moneyText(currency, value) : gpuSeconds(value));
  const whose = jobId === undefined ? `tenant ${tenant}` : "the job";
  const scope = jobId !== undefined ? "" : period === "month" ? " for this month" : " in all";
  return `${whose} has spent ${amount(spent)} of ${amount(allowed)}${scope}`;
}

/** Microseconds as GPU-seconds, to the millisecond. */
function gpuSeconds(microseconds: bigint): string {
  return `${Number((microseconds + 500n) / 1_000n) / 1_000} GPU-seconds`;
}
