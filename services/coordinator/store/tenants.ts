/**
 * What tenants are granted and how they stand.
 */
import { runStatement } from "../../platform/database/pool.ts";
import { learnShapesStatement, listTenantsStatement, setTenantLimitStatement } from "./sql/tenants.ts";
import { callFunction, type StoreContext, toPayload } from "./store-context.ts";
import type { TenantStore, TenantView } from "./store-contract.ts";

type TenantRow = {
  readonly tenant: string;
  readonly weight: number;
  readonly max_running: number | null;
  readonly max_waiting: number | null;
  readonly ready_tasks: number;
  readonly running_tasks: number;
  readonly open_renders: number;
  readonly shares: TenantView["shares"];
};

/** The part of the store that knows tenants. */
export function createTenants({ pool }: StoreContext): TenantStore {
  return {
    async setTenantLimit(tenant, { weight, maxRunning, maxWaiting }) {
      const limit = { weight, maxRunning: maxRunning ?? null, maxWaiting: maxWaiting ?? null };
      await callFunction<null>(pool, setTenantLimitStatement, [tenant, toPayload(limit)]);
    },
    async listTenants(tenant) {
      return (await runStatement<TenantRow>(pool, listTenantsStatement, [tenant ?? null])).map(tenantFromRow);
    },
    async learnShapes(bytes) {
      await callFunction<null>(pool, learnShapesStatement, [toPayload(bytes)]);
    },
  };
}

function tenantFromRow(row: TenantRow): TenantView {
  const { tenant, weight, max_running: maxRunning, max_waiting: maxWaiting, shares } = row;
  return {
    tenant,
    limit: { weight, maxRunning: maxRunning ?? undefined, maxWaiting: maxWaiting ?? undefined },
    readyTasks: row.ready_tasks,
    runningTasks: row.running_tasks,
    openRenders: row.open_renders,
    shares,
  };
}
