/**
 * What the store says of the farm's queue and of its books → operator.proto.
 */
import { Pool, PoolScaling, StageQueue, UsageRow, type WorkerCounts } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { FarmView, ScaleRecord, UsageSum, WorkerView } from "../store/store-contract.ts";
import { moneyToProto } from "./money-mapping.ts";
import { isLive } from "./worker-mapping.ts";

/** A pool, and the profile that its workers must have. */
export type NamedPool = { readonly name: string; readonly profile: string };

/** What is known of all pools. */
export type PoolFacts = {
  readonly farm: FarmView;
  readonly workers: readonly WorkerView[];
  /** Of pools that are scaled. */
  readonly scaled: readonly ScaleRecord[];
};

/** A pool, its queue by stage, its workers, and how many it should have. */
export function poolToProto(pool: NamedPool, { farm, workers, scaled }: PoolFacts): Pool {
  const decided = scaled.find((record) => record.pool === pool.name);
  const queues = farm.queues.filter((queue) => queue.pool === pool.name).sort((left, right) => (left.stage < right.stage ? -1 : 1));
  return Pool.create({
    ...pool,
    queues: queues.map(({ stage, blocked, ready, running, delayed, oldestReadyMs }) =>
      StageQueue.create({ stage, blocked, ready, running, delayed, oldestReadyMs }),
    ),
    workers: countWorkers(workers.filter((worker) => worker.pool === pool.name)),
    scaling: decided === undefined ? undefined : PoolScaling.create(decided),
  });
}

function countWorkers(workers: readonly WorkerView[]): WorkerCounts {
  const count = (state: WorkerView["state"]): number => workers.filter((worker) => worker.state === state).length;
  return {
    idle: count("idle"),
    busy: count("busy"),
    draining: count("draining"),
    lost: count("lost"),
    stopped: count("stopped"),
    suspended: workers.filter((worker) => isLive(worker) && worker.health?.state === "suspended").length,
    cordoned: workers.filter((worker) => isLive(worker) && worker.cordon !== undefined).length,
  };
}

/** What attempts cost together. */
export function usageToProto(sum: UsageSum, currency: string): UsageRow {
  const { attempts, costNanos, ...times } = sum;
  return UsageRow.create({ ...times, keys: [...sum.keys], attempts: BigInt(attempts), cost: moneyToProto(currency, costNanos) });
}
