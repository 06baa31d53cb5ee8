/**
 * Prices and budgets on the ledger.
 *
 * Invariants: a price that has begun is never changed; totals hold every booking once; what a decision does, it does about budgets that are
 * still as it saw them.
 */
import type { BudgetFacts, BudgetLevel } from "../../domain/budget.ts";
import { FarmError } from "../../domain/errors.ts";
import { type Pool, runStatement } from "../../platform/database/pool.ts";
import type { BooksStore, BudgetView, SetBudget, SetBudgetOutcome, SetPriceOutcome } from "./books-contract.ts";
import {
  applyBudgetsStatement,
  bindingBudgetsStatement,
  budgetsStatement,
  deleteBudgetStatement,
  listPricesStatement,
  setBudgetStatement,
  setPriceStatement,
  totalUsageStatement,
  unbalancedStatement,
  usageTotalsStatement,
  usedUpBudgetStatement,
} from "./sql/budgets.ts";
import { callLongFunction } from "./long-call.ts";
import { callFunction, noAftermath, type StoreContext, toPayload } from "./store-context.ts";
import type { Aftermath, TenantScope } from "./store-contract.ts";

/** A statement that holds its locks for tens of milliseconds. */
const bookingsPerTotal = 1_000;
/** Cancelled in one round; the next one goes on. */
const mostCancels = 50;

type PriceRow = {
  readonly pool: string;
  readonly valid_from: Date;
  readonly nanos_per_hour: string;
  readonly set_by: string;
  readonly set_at: Date;
  readonly currency: string;
};

type BudgetRow = {
  readonly id: string;
  readonly version: string;
  readonly tenant_id: string;
  readonly job_id: string | null;
  readonly unit: BudgetFacts["unit"];
  readonly period: BudgetFacts["period"];
  readonly allowed: string;
  readonly action: BudgetFacts["action"];
  readonly reason: string;
  readonly set_by: string;
  readonly set_at: Date;
  readonly level: BudgetLevel;
  readonly level_month: string;
  readonly currency: string;
  readonly spent: string;
  readonly open_jobs: readonly string[];
};

type TotalRow = { readonly pool: string; readonly outcome: string; readonly device_ms: number; readonly cost_nanos: string };
type BindingRow = { readonly month: string; readonly held_tenants: readonly string[]; readonly stopped_jobs: readonly string[] };
type SetPriceAnswer = Exclude<SetPriceOutcome, { kind: "set" }> | { readonly kind: "set"; readonly validFrom: string };
type SetBudgetAnswer = Exclude<SetBudgetOutcome, { kind: "set" }> | { readonly kind: "set"; readonly id: string };

/** The part of the store that keeps prices and budgets. */
export function createBooks({ pool }: StoreContext): BooksStore {
  return {
    async setPrice({ pool: name, ...price }, by) {
      const outcome = await callFunction<SetPriceAnswer>(pool, setPriceStatement, [name, numbersAsText(price), by]);
      return outcome.kind === "set" ? { kind: "set", validFrom: new Date(outcome.validFrom) } : outcome;
    },
    async listPrices() {
      const rows = await runStatement<PriceRow>(pool, listPricesStatement, []);
      return rows.map(({ pool: name, valid_from: validFrom, nanos_per_hour: nanos, set_by: setBy, set_at: setAt, currency }) => ({
        ...{ pool: name, nanosPerHour: BigInt(nanos), currency, validFrom, setBy, setAt },
      }));
    },
    setBudget: (budget, by) => setBudget(pool, budget, by),
    listBudgets: async (scope) => (await readBudgets(pool, { scope })).map(viewFromRow),
    async deleteBudget({ tenant, jobId, unit, period }) {
      return (await runStatement(pool, deleteBudgetStatement, [tenant ?? null, jobId ?? null, unit, period])).length > 0;
    },
    async usedUpBudget(tenant, jobId) {
      const [found] = await runStatement<{ readonly id: string }>(pool, usedUpBudgetStatement, [tenant, jobId ?? null]);
      return found === undefined ? undefined : await findBudget(pool, found.id);
    },
    totalUsage: async (dutyEpoch) => (await callFunction<number | null>(pool, totalUsageStatement, [dutyEpoch, bookingsPerTotal])) ?? 0,
    async budgetSnapshot() {
      const budgets = (await readBudgets(pool, {})).map(factsFromRow);
      const [binding] = await runStatement<BindingRow>(pool, bindingBudgetsStatement, []);
      if (binding === undefined) throw new FarmError("INTERNAL", { message: "this month is unknown" });
      return { budgets, month: binding.month, heldTenants: binding.held_tenants, stoppedJobs: binding.stopped_jobs };
    },
    async applyBudgets(dutyEpoch, decision) {
      return (await callLongFunction<Aftermath | null>(pool, applyBudgetsStatement, [dutyEpoch, toPayload(decision)])) ?? noAftermath;
    },
    async usageTotals() {
      const rows = await runStatement<TotalRow>(pool, usageTotalsStatement, []);
      return rows.map(({ pool: name, outcome, device_ms: deviceMs, cost_nanos: nanos }) => ({
        ...{ pool: name, outcome, deviceMs, costNanos: BigInt(nanos) },
      }));
    },
    async unbalancedAttempts(from, limit) {
      const rows = await runStatement<{ readonly attempt_id: string }>(pool, unbalancedStatement, [from, limit]);
      return rows.map(({ attempt_id: id }) => id);
    },
  };
}

/** JSON has no integers of 64 bits. */
function numbersAsText(value: object): string {
  return toPayload(Object.fromEntries(Object.entries(value).map(([key, one]) => [key, typeof one === "bigint" ? one.toString() : one])));
}

async function setBudget(pool: Pool, budget: SetBudget, by: string): Promise<SetBudgetOutcome> {
  const outcome = await callFunction<SetBudgetAnswer>(pool, setBudgetStatement, [numbersAsText(budget), by]);
  if (outcome.kind !== "set") return outcome;
  const view = await findBudget(pool, outcome.id);
  return view === undefined ? { kind: "unknown" } : { kind: "set", budget: view };
}

/** Undefined when it was deleted meanwhile. */
async function findBudget(pool: Pool, id: string): Promise<BudgetView | undefined> {
  const [row] = await readBudgets(pool, { id });
  return row === undefined ? undefined : viewFromRow(row);
}

type Which = { readonly scope?: TenantScope; readonly id?: string };

function readBudgets(pool: Pool, { scope, id }: Which): Promise<readonly BudgetRow[]> {
  return runStatement<BudgetRow>(pool, budgetsStatement, [scope ?? null, id ?? null, mostCancels]);
}

function budgetOf(row: BudgetRow) {
  const { tenant_id: tenant, job_id: jobId, unit, period, action, currency } = row;
  return { tenant, jobId: jobId ?? undefined, unit, period, action, currency, allowed: BigInt(row.allowed), spent: BigInt(row.spent) };
}

function viewFromRow(row: BudgetRow): BudgetView {
  return { ...budgetOf(row), reason: row.reason, setBy: row.set_by, setAt: row.set_at, level: row.level };
}

function factsFromRow(row: BudgetRow): BudgetFacts {
  const { id, version, level, level_month: levelMonth, open_jobs: openJobs } = row;
  return { ...budgetOf(row), id, version, level, levelMonth, openJobs };
}
