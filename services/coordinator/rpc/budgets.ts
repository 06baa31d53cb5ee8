/**
 * SetBudget, ListBudgets and DeleteBudget; and the refusal of what a budget does not let in any more.
 */
import { budgetText } from "../../domain/budget.ts";
import { FarmError } from "../../domain/errors.ts";
import { nameRule, refusalOf, refuseAny, violation } from "../../domain/field-rules.ts";
import type {
  DeleteBudgetRequest,
  DeleteBudgetResponse,
  ListBudgetsRequest,
  ListBudgetsResponse,
  SetBudgetRequest,
  SetBudgetResponse,
} from "../../gen/proto/vapfarm/v1/books.ts";
import type { BooksStore } from "../store/store-contract.ts";
import { budgetToProto, readChoice, readTarget, readTerms } from "./budget-mapping.ts";
import { requestedScope } from "./caller.ts";
import { jobUnknown } from "./jobs.ts";
import type { Call } from "./method.ts";
import { otherCurrency } from "./money-mapping.ts";
import { budgetPeriods, budgetUnits, choiceOf } from "./wire-names.ts";

type Budgets = Pick<BooksStore, "setBudget" | "listBudgets" | "deleteBudget">;

/** The handler of SetBudget. */
export function createSetBudget(store: Pick<Budgets, "setBudget">) {
  return async (request: SetBudgetRequest, { caller }: Call): Promise<SetBudgetResponse> => {
    const target = readTarget(request);
    const terms = readTerms(request);
    const isMonthly = target.value.jobId !== undefined && terms.value.period === "month";
    const monthly = violation("period", "is a month, but a job's budget is for all of it", "choose total, or leave it out");
    refuseAny([...target.violations, ...terms.violations, ...(isMonthly ? [monthly] : [])]);
    const outcome = await store.setBudget({ ...target.value, ...terms.value, reason: request.reason }, caller.tenant);
    switch (outcome.kind) {
      case "set":
        return { budget: budgetToProto(outcome.budget) };
      case "currency":
        throw refusalOf(otherCurrency("money", outcome.currency));
      case "unknown":
        throw jobUnknown(request.name);
    }
  };
}

/** The handler of ListBudgets. */
export function createListBudgets(store: Pick<Budgets, "listBudgets">) {
  return async ({ tenant }: ListBudgetsRequest, { caller }: Call): Promise<ListBudgetsResponse> => {
    refuseAny(nameRule("tenant", tenant));
    return { budgets: (await store.listBudgets(requestedScope(caller, tenant))).map(budgetToProto) };
  };
}

/** The handler of DeleteBudget. */
export function createDeleteBudget(store: Pick<Budgets, "deleteBudget">) {
  return async (request: DeleteBudgetRequest): Promise<DeleteBudgetResponse> => {
    const target = readTarget(request);
    const unit = choiceOf(budgetUnits, request.unit);
    const period = readChoice("period", request.period, { names: budgetPeriods, otherwise: "total" });
    const wrong = violation("unit", "is missing or unknown", "choose money or gpu time");
    const isKnown = unit !== "unspecified" && unit !== "unrecognized";
    refuseAny([...target.violations, ...(isKnown ? [] : [wrong]), ...period.violations]);
    if (!isKnown) return { deleted: false };
    const { tenant, jobId } = target.value;
    const name = { tenant: jobId === undefined ? tenant : undefined, jobId, unit, period: period.value };
    return { deleted: await store.deleteBudget(name) };
  };
}

/** Throws BUDGET_USED_UP when nothing is left of a budget of the tenant, or of the job. */
export async function refuseSpent(store: Pick<BooksStore, "usedUpBudget">, tenant: string, jobId?: string): Promise<void> {
  const budget = await store.usedUpBudget(tenant, jobId);
  if (budget === undefined) return;
  throw new FarmError("BUDGET_USED_UP", { message: budgetText(budget) });
}
