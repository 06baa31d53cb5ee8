/**
 * The snapshot from which domain/explain says why tasks wait.
 */
import type { ExplainFacts, OpenTask, WaitingPool } from "../../domain/explain.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { explainFactsStatement } from "./sql/explain.ts";
import type { StoreContext } from "./store-context.ts";
import type { TenantScope } from "./store-contract.ts";

/** Tasks that are shown; the rest is counted. */
const mostTasks = 200;

type Explained = { readonly scope: TenantScope; readonly jobId: string; readonly position: number | undefined };
type FactsRow = Omit<ExplainFacts, "tasks" | "deadline" | "pools" | "waiting"> & {
  readonly waiting: readonly (Omit<WaitingPool, "window" | "overBudget"> & { readonly overBudget: string | null })[];
  readonly deadline: "at_risk" | "missed" | null;
  readonly tasks: readonly (Omit<OpenTask, "workerName" | "keptStep" | "slotOn" | "overBudget"> & {
    readonly overBudget: string | null;
    readonly workerName: string | null;
    readonly keptStep: number | null;
    readonly slotOn: string | null;
  })[];
};

/** Undefined when there is no such job, or it has no render at the position. */
export async function explainFacts(
  { pool, settings }: StoreContext,
  { scope, jobId, position }: Explained,
): Promise<ExplainFacts | undefined> {
  const values = [jobId, scope ?? null, position ?? null, mostTasks, settings.limits.openRenders];
  const [row] = await runStatement<FactsRow>(pool, explainFactsStatement, values);
  if (row === undefined) return undefined;
  const { tasks, deadline, waiting, ...rest } = row;
  return {
    ...rest,
    waiting: waiting.map((one) => ({ ...one, overBudget: one.overBudget ?? undefined, window: settings.limits.openRenders })),
    pools: Object.keys(settings.pools),
    deadline: deadline ?? undefined,
    tasks: tasks.map(({ workerName, keptStep, slotOn, overBudget, ...task }) => ({
      ...task,
      workerName: workerName ?? undefined,
      keptStep: keptStep ?? undefined,
      slotOn: slotOn ?? undefined,
      overBudget: overBudget ?? undefined,
    })),
  };
}
