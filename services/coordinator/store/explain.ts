/**
 * The snapshot from which domain/explain says why tasks wait.
 */
import type { ExplainFacts, OpenTask } from "../../domain/explain.ts";
import type { WaitingPool } from "../../domain/explain-window.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { explainFactsStatement } from "./sql/explain.ts";
import type { StoreContext } from "./store-context.ts";
import type { TenantScope } from "./store-contract.ts";

/** Tasks that are shown; the rest is counted. */
const mostTasks = 200;

type Explained = { readonly scope: TenantScope; readonly jobId: string; readonly position: number | undefined };
type FactsRow = Omit<ExplainFacts, "tasks" | "waiting"> & {
  readonly waiting: readonly Omit<WaitingPool, "window">[];
  readonly tasks: readonly (Omit<OpenTask, "workerName" | "keptStep"> & {
    readonly workerName: string | null;
    readonly keptStep: number | null;
  })[];
};

/** Undefined when there is no such job, or it has no render at the position. */
export async function explainFacts(
  { pool, settings }: StoreContext,
  { scope, jobId, position }: Explained,
): Promise<ExplainFacts | undefined> {
  const values = [jobId, scope ?? null, position ?? null, mostTasks];
  const [row] = await runStatement<FactsRow>(pool, explainFactsStatement, values);
  if (row === undefined) return undefined;
  const { tasks, waiting, ...rest } = row;
  return {
    ...rest,
    waiting: waiting.map((one) => ({ ...one, window: settings.limits.openRenders })),
    tasks: tasks.map((task) => ({ ...task, workerName: task.workerName ?? undefined, keptStep: task.keptStep ?? undefined })),
  };
}
