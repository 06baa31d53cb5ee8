/**
 * What people and metrics look at: workers, queue, whether Postgres answers.
 */
import { toFarmError } from "../../domain/errors.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { listWorkersStatement, pingStatement, queueCountsStatement } from "./sql/overview.ts";
import type { StoreContext } from "./store-context.ts";
import type { OverviewStore, QueueCount, WorkerView } from "./store-contract.ts";

type WorkerRow = Pick<WorkerView, "name" | "host" | "pool" | "provider" | "profile" | "device" | "models"> & {
  readonly id: string;
  readonly last_heard_at: Date | null;
  readonly is_live: boolean;
  readonly end_reason: string | null;
  readonly progress: readonly { readonly attemptId: string; readonly step: number; readonly steps: number }[];
  readonly running: readonly { readonly attemptId: string; readonly taskId: number; readonly stage: string; readonly jobId: string }[];
};

/** The part of the store that is only looked at. */
export function createOverview({ pool }: StoreContext): OverviewStore {
  return {
    listWorkers: async () => (await runStatement<WorkerRow>(pool, listWorkersStatement, [])).map(workerFromRow),
    queueCounts: () => runStatement<QueueCount>(pool, queueCountsStatement, []),
    async ping() {
      await runStatement(pool, pingStatement, []).catch((thrown: unknown) => {
        throw toFarmError(thrown, "DATABASE_UNAVAILABLE");
      });
    },
  };
}

function stateOf({ is_live: isLive, end_reason: endReason, running }: WorkerRow): WorkerView["state"] {
  if (!isLive) return endReason === "stopped" ? "stopped" : "lost";
  return running.length > 0 ? "busy" : "idle";
}

const withoutDashes = (fence: string): string => fence.replaceAll("-", "");

function workerFromRow(row: WorkerRow): WorkerView {
  const progress = new Map(row.progress.map((attempt) => [withoutDashes(attempt.attemptId), attempt]));
  const running = row.running.map(({ attemptId, taskId, stage, jobId }) => {
    const { step = 0, steps = 0 } = progress.get(withoutDashes(attemptId)) ?? {};
    return { taskId, stage, jobId, step, steps };
  });
  const { name, host, pool, provider, profile, device, models } = row;
  const described = { name, host, pool, provider, profile, device, models };
  return { workerId: row.id, ...described, state: stateOf(row), lastBeatAt: row.last_heard_at ?? undefined, running };
}
