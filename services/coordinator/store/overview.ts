/**
 * What people and metrics look at: workers, queues, the books, whether Postgres answers.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { type Pool, runStatement } from "../../platform/database/pool.ts";
import { farmOverviewStatement, pingStatement, queueCountsStatement, signingKeyStatement } from "./sql/overview.ts";
import type { StoreContext } from "./store-context.ts";
import type { FarmView, OverviewStore, QueueCount, StageQueueView, TenantScope } from "./store-contract.ts";
import { sumUsage } from "./usage.ts";
import { listWorkers } from "./workers.ts";

type FarmRow = {
  readonly name: string | null;
  readonly epoch: number;
  readonly open_jobs: number;
  readonly queues: readonly StageQueueView[];
  readonly at: Date;
};

/** The part of the store that is only looked at. */
export function createOverview({ pool }: StoreContext): OverviewStore {
  return {
    listWorkers: (scope) => listWorkers(pool, scope),
    queueCounts: () => runStatement<QueueCount>(pool, queueCountsStatement, []),
    farmOverview: (scope) => farmOverview(pool, scope),
    sumUsage: (ask) => sumUsage(pool, ask),
    async signingKey() {
      const [row] = await runStatement<{ readonly key: Buffer }>(pool, signingKeyStatement, []);
      if (row === undefined) throw new FarmError("INTERNAL", { message: "the signing key is gone" });
      return new Uint8Array(row.key);
    },
    async ping() {
      await runStatement(pool, pingStatement, []).catch((thrown: unknown) => {
        throw toFarmError(thrown, "DATABASE_UNAVAILABLE");
      });
    },
  };
}

async function farmOverview(pool: Pool, scope: TenantScope): Promise<FarmView> {
  const [row] = await runStatement<FarmRow>(pool, farmOverviewStatement, [scope ?? null]);
  if (row === undefined) throw new FarmError("INTERNAL", { message: "the farm's row is gone" });
  return { name: row.name ?? "", epoch: row.epoch, openJobs: row.open_jobs, queues: row.queues, at: row.at };
}
