/**
 * ListWorkers, GetWorker, CordonWorker, UncordonWorker, DrainWorker and ClearWorker.
 */
import { FarmError } from "../../domain/errors.ts";
import { maxNameCharacters, nameRule, numberRule, reasonRule, refuseAny, textRule } from "../../domain/field-rules.ts";
import type {
  ClearWorkerRequest,
  ClearWorkerResponse,
  CordonWorkerRequest,
  CordonWorkerResponse,
  DrainWorkerRequest,
  DrainWorkerResponse,
  GetWorkerRequest,
  GetWorkerResponse,
  ListWorkersRequest,
  ListWorkersResponse,
  UncordonWorkerRequest,
  UncordonWorkerResponse,
  Worker,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import type {
  Aftermath,
  ControlStore,
  HealthStore,
  OverviewStore,
  TenantScope,
  WorkerChange,
  WorkerView,
} from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import type { Call } from "./method.ts";
import { namesOf, workerStates } from "./wire-names.ts";
import { workerToProto } from "./worker-mapping.ts";

/** What these methods work with; `onCommitted` is called after the commit. */
export type WorkerDependencies = {
  readonly store: Pick<OverviewStore, "listWorkers"> &
    Pick<ControlStore, "getWorker" | "cordonWorker" | "uncordonWorker" | "drainWorker"> &
    Pick<HealthStore, "clearWorker">;
  readonly onCommitted: (aftermath: Aftermath) => void;
};

const maxGraceMs = 86_400_000n;

/** The handler of ListWorkers. */
export function createListWorkers({ store }: WorkerDependencies) {
  return async ({ pool, states }: ListWorkersRequest, { caller }: Call): Promise<ListWorkersResponse> => {
    const wanted = namesOf(workerStates, "states", states);
    refuseAny([...nameRule("pool", pool), ...wanted.violations]);
    const workers = (await store.listWorkers(scopeOf(caller)))
      .filter((worker) => pool === "" || worker.pool === pool)
      .filter(({ state }) => wanted.named.length === 0 || wanted.named.includes(state))
      .sort((left, right) => compare(left.pool, right.pool) || compare(left.name, right.name));
    return { workers: workers.map(workerToProto) };
  };
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** The handler of GetWorker. */
export function createGetWorker({ store }: WorkerDependencies) {
  return async ({ workerId }: GetWorkerRequest, { caller }: Call): Promise<GetWorkerResponse> => ({
    worker: workerToProto(await workerOf(store, scopeOf(caller), workerId)),
  });
}

/** The handler of CordonWorker. */
export function createCordonWorker(dependencies: WorkerDependencies) {
  return async ({ workerId, reason }: CordonWorkerRequest, { caller }: Call): Promise<CordonWorkerResponse> => {
    refuseAny(reasonRule(reason));
    return { worker: await change(dependencies, workerId, (id) => dependencies.store.cordonWorker(id, { by: caller.tenant, reason })) };
  };
}

/** The handler of UncordonWorker. */
export function createUncordonWorker(dependencies: WorkerDependencies) {
  return async ({ workerId }: UncordonWorkerRequest): Promise<UncordonWorkerResponse> => ({
    worker: await change(dependencies, workerId, (id) => dependencies.store.uncordonWorker(id)),
  });
}

/** The handler of DrainWorker. */
export function createDrainWorker(dependencies: WorkerDependencies) {
  return async ({ workerId, reason, graceMs }: DrainWorkerRequest, { caller }: Call): Promise<DrainWorkerResponse> => {
    const grace = graceMs === undefined ? [] : numberRule("grace_ms", { value: graceMs, min: 0n, max: maxGraceMs });
    refuseAny([...reasonRule(reason), ...grace]);
    const afterMs = graceMs === undefined ? undefined : Number(graceMs);
    const note = { by: caller.tenant, reason };
    return { worker: await change(dependencies, workerId, (id) => dependencies.store.drainWorker(id, note, afterMs)) };
  };
}

/** The handler of ClearWorker. */
export function createClearWorker(dependencies: WorkerDependencies) {
  return async ({ workerId }: ClearWorkerRequest, { caller }: Call): Promise<ClearWorkerResponse> => ({
    worker: await change(dependencies, workerId, (id) => dependencies.store.clearWorker(id, caller.tenant)),
  });
}

/** What has no worker's form is not looked up. */
async function workerOf(store: Pick<ControlStore, "getWorker">, scope: TenantScope, idOrName: string): Promise<WorkerView> {
  const isLookedUp = idOrName !== "" && textRule("worker_id", idOrName, maxNameCharacters).length === 0;
  const worker = isLookedUp ? await store.getWorker(scope, idOrName) : undefined;
  if (worker === undefined) throw workerUnknown(idOrName);
  return worker;
}

async function change(
  { store, onCommitted }: WorkerDependencies,
  idOrName: string,
  apply: (workerId: string) => Promise<WorkerChange | undefined>,
): Promise<Worker> {
  const { workerId } = await workerOf(store, undefined, idOrName);
  const changed = await apply(workerId);
  if (changed === undefined) throw workerUnknown(idOrName);
  onCommitted({ ...changed.aftermath, pushes: [...(changed.aftermath.pushes ?? []), ...changed.pushes] });
  return workerToProto(changed.worker);
}

function workerUnknown(idOrName: string): FarmError {
  const named = idOrName.slice(0, 80);
  const field = { field: "worker_id", reason: `no worker, or not exactly one, is "${named}"`, remedy: "list the workers and give an id" };
  return new FarmError("WORKER_UNKNOWN", { details: { fields: [field], resource: named } });
}
