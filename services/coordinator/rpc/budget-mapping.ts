/**
 * Budgets ↔ books.proto, and what a budget must be.
 */
import type { BudgetAction, BudgetPeriod, BudgetUnit } from "../../domain/budget.ts";
import { nameRule, reasonRule, unknownValue, violation, type Violations } from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import { maxUnits } from "../../domain/money.ts";
import { Budget, type SetBudgetRequest } from "../../gen/proto/vapfarm/v1/books.ts";
import type { BudgetView } from "../store/store-contract.ts";
import { moneyToProto, readMoney } from "./money-mapping.ts";
import { budgetActions, budgetLevels, budgetPeriods, budgetScopes, choiceOf, type WireNames } from "./wire-names.ts";

const maxGpuSeconds = 1_000_000_000;
const microsecondsPerSecond = 1_000_000;

/** Whose budget it is; of a job the tenant is found by it. */
export type BudgetTarget = { readonly tenant: string; readonly jobId: string | undefined };
/** What is read stands for nothing where there are violations. */
type Read<T> = { readonly value: T; readonly violations: Violations };

/** Whose a request says that a budget is. */
export function readTarget({ scope, name }: { readonly scope: number; readonly name: string }): Read<BudgetTarget> {
  const nobody = { tenant: name, jobId: undefined };
  switch (choiceOf(budgetScopes, scope)) {
    case "tenant":
      return { value: nobody, violations: name === "" ? [violation("name", "is missing", "name the tenant")] : nameRule("name", name) };
    case "job":
      return {
        value: { tenant: "", jobId: name },
        violations: isJobId(name) ? [] : [violation("name", "is no job id", "give a UUID in lower case")],
      };
    case "unspecified":
      return { value: nobody, violations: [violation("scope", "is missing", "choose tenant or job")] };
    case "unrecognized":
      return { value: nobody, violations: [unknownValue("scope")] };
  }
}

/** A choice that has a value of its own when none is made. */
export function readChoice<T extends string>(field: string, value: number, { names, otherwise }: Choices<T>): Read<T> {
  const choice = choiceOf(names, value);
  if (choice === "unrecognized") return { value: otherwise, violations: [unknownValue(field)] };
  return { value: choice === "unspecified" ? otherwise : choice, violations: [] };
}

type Choices<T extends string> = { readonly names: WireNames<T>; readonly otherwise: T };

/** What may be spent, and how it is counted. */
type Limit = { readonly unit: BudgetUnit; readonly allowed: bigint; readonly currency: string };

/** Everything that a request says of the budget but whose it is. */
export function readTerms(request: SetBudgetRequest): Read<Limit & { readonly period: BudgetPeriod; readonly action: BudgetAction }> {
  const period = readChoice("period", request.period, { names: budgetPeriods, otherwise: "total" });
  const action = readChoice("action", request.action, { names: budgetActions, otherwise: "stop" });
  const limit = readLimit(request.limit);
  const violations = [...limit.violations, ...period.violations, ...action.violations, ...reasonRule(request.reason)];
  return { value: { ...limit.value, period: period.value, action: action.value }, violations };
}

function readLimit(limit: SetBudgetRequest["limit"]): Read<Limit> {
  if (limit === undefined) {
    const missing = violation("limit", "is missing", "give money or gpu_seconds");
    return { value: { unit: "money", allowed: 0n, currency: "" }, violations: [missing] };
  }
  if (limit.$case === "money") {
    const { currency, nanos, violations } = readMoney("money", limit.value, maxUnits);
    return { value: { unit: "money", allowed: nanos, currency }, violations };
  }
  const isRight = limit.value >= 0 && limit.value <= maxGpuSeconds;
  const allowed = isRight ? BigInt(Math.round(limit.value * microsecondsPerSecond)) : 0n;
  const outside = violation("gpu_seconds", `is outside 0 .. ${maxGpuSeconds}`, "choose a number in that range");
  return { value: { unit: "gpu_time", allowed, currency: "" }, violations: isRight ? [] : [outside] };
}

/** A budget, what is spent of it and where it stands. */
export function budgetToProto(budget: BudgetView): Budget {
  const { tenant, jobId, unit, period, action, allowed, spent, currency, reason, setBy, setAt, level } = budget;
  return Budget.create({
    scope: budgetScopes[jobId === undefined ? "tenant" : "job"],
    name: jobId ?? tenant,
    limit:
      unit === "money"
        ? { $case: "money", value: moneyToProto(currency, allowed) }
        : { $case: "gpuSeconds", value: Number(allowed) / microsecondsPerSecond },
    period: budgetPeriods[period],
    action: budgetActions[action],
    reason,
    spent:
      unit === "money"
        ? { $case: "spentMoney", value: moneyToProto(currency, spent) }
        : { $case: "spentGpuSeconds", value: Number(spent) / microsecondsPerSecond },
    level: budgetLevels[level],
    setBy,
    setTime: setAt,
    tenant,
  });
}
