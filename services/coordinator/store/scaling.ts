/**
 * Scaling: what decisions are made from, and what they leave; what the cluster does to workers.
 */
import type { PoolWork, TenantWork } from "../../domain/scaling.ts";
import { runStatement } from "../../platform/database/pool.ts";
import type { DisruptionRound, NamedWorker, ScaleRecord, ScalingFacts, ScalingStore } from "./scaling-contract.ts";
import { applyScaleStatement, disruptStatement, scaleRecordsStatement, scalingFactsStatement } from "./sql/scaling.ts";
import { callFunction, type StoreContext, toPayload } from "./store-context.ts";
import type { Aftermath } from "./store-contract.ts";

type TenantRow = Omit<TenantWork, "maxRunning"> & { readonly maxRunning: number | null };
type WorkerRow = Pick<NamedWorker, "workerId" | "name" | "cordon" | "isSilent"> & {
  readonly attempts: readonly { readonly lossMs: number; readonly leftMs: number }[];
};
type FactsRow = Pick<ScalingFacts, "pool" | "startupsMs" | "isHeard" | "nowMs"> & {
  readonly work: Omit<PoolWork, "tenants"> & { readonly tenants: readonly TenantRow[] };
  readonly workers: readonly WorkerRow[];
  readonly memory: ScalingFacts["memory"] | null;
};

/** The part of the store that scaling goes through. */
export function createScalingStore({ pool }: StoreContext): ScalingStore {
  return {
    async scalingFacts(pools, { mostTasks, unknownTaskMs }) {
      const values = [[...pools], mostTasks, unknownTaskMs];
      return (await callFunction<readonly FactsRow[]>(pool, scalingFactsStatement, values)).map(factsFromRow);
    },
    async applyScale(dutyEpoch, change) {
      return (await callFunction<Aftermath | null>(pool, applyScaleStatement, [dutyEpoch, toPayload(change)])) ?? undefined;
    },
    async disrupt(dutyEpoch, pools, pods) {
      const values = [dutyEpoch, [...pools], toPayload(pods)];
      return (await callFunction<DisruptionRound | null>(pool, disruptStatement, values)) ?? undefined;
    },
    scaleRecords: () => runStatement<ScaleRecord>(pool, scaleRecordsStatement, []),
  };
}

function factsFromRow({ work, workers, memory, ...row }: FactsRow): ScalingFacts {
  return {
    ...row,
    work: { ...work, tenants: work.tenants.map((tenant) => ({ ...tenant, maxRunning: tenant.maxRunning ?? undefined })) },
    workers: workers.map(workerFromRow),
    memory: memory ?? undefined,
  };
}

function workerFromRow({ attempts, ...worker }: WorkerRow): NamedWorker {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    ...worker,
    running: attempts.length,
    lossMs: sum(attempts.map(({ lossMs }) => lossMs)),
    leftMs: sum(attempts.map(({ leftMs }) => leftMs)),
  };
}
