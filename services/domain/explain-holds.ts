/**
 * What forbids that anything of a tenant, pool or job starts: holds, budgets, limits.
 *
 * Pure.
 */
import type { Constraint, ExplainHold, ExplainLimit, OpenTask } from "./explain-facts.ts";

/** The holds of its farm, pool and tenant, placed by people and budgets. */
export function holdsOf(task: Pick<OpenTask, "pool" | "tenant">, holds: readonly ExplainHold[]): readonly Constraint[] {
  const names = { farm: "", pool: task.pool, tenant: task.tenant };
  const binding = holds.filter(({ scope, name }) => names[scope] === name);
  return binding.map(({ scope, name, reason, origin }) => {
    if (origin === "budget") return spent(reason, `${scope} ${name}`);
    const target = scope === "farm" ? "farm" : `${scope} ${name}`;
    const message = `${scope === "farm" ? "the farm" : target} is held${reason === "" ? "" : `: ${reason}`}`;
    return { kind: "held", message, remedy: `vapfarm release ${target}` };
  });
}

/** What its job's budget says. */
export function overBudget({ overBudget: reason }: Pick<OpenTask, "overBudget">): readonly Constraint[] {
  return reason === undefined ? [] : [spent(reason, "job JOB")];
}

function spent(reason: string, whose: string): Constraint {
  return { kind: "over_budget", message: reason, remedy: `raise the budget: vapfarm budgets set ${whose}` };
}

/** The limits of its tenant that are reached. */
export function limitsOf({ tenant }: Pick<OpenTask, "tenant">, limits: readonly ExplainLimit[]): readonly Constraint[] {
  return limits
    .filter((limit) => limit.tenant === tenant && limit.running >= limit.maxRunning)
    .map(({ running, maxRunning }) => ({
      kind: "tenant_limit",
      message: `tenant ${tenant} runs ${running} of the ${maxRunning} ${maxRunning === 1 ? "task" : "tasks"} that it may run at once`,
      remedy: "wait, or have the limit raised (vapfarm tenants set)",
    }));
}
