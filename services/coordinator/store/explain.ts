/**
 * The snapshot from which domain/explain says why tasks wait.
 */
import type { ExplainFacts, OpenTask } from "../../domain/explain.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { explainFactsStatement } from "./sql/explain.ts";
import type { StoreContext } from "./store-context.ts";
import type { TenantScope } from "./store-contract.ts";

/** Tasks that are shown; the rest is counted. */
const mostTasks = 200;

type Explained = { readonly scope: TenantScope; readonly jobId: string; readonly position: number | undefined };
type FactsRow = Omit<ExplainFacts, "tasks"> & {
  readonly tasks: readonly (Omit<OpenTask, "workerName" | "keptStep" | "overBudget"> & {
    readonly overBudget: string | null;
    readonly workerName: string | null;
    readonly keptStep: number | null;
  })[];
};

/** Undefined when there is no such job, or it has no render at the position. */
export async function explainFacts({ pool }: StoreContext, { scope, jobId, position }: Explained): Promise<ExplainFacts | undefined> {
  const values = [jobId, scope ?? null, position ?? null, mostTasks];
  const [row] = await runStatement<FactsRow>(pool, explainFactsStatement, values);
  if (row === undefined) return undefined;
  const { tasks, ...rest } = row;
  return {
    ...rest,
    tasks: tasks.map(({ workerName, keptStep, overBudget, ...task }) => ({
      ...task,
      workerName: workerName ?? undefined,
      keptStep: keptStep ?? undefined,
      overBudget: overBudget ?? undefined,
    })),
  };
}
