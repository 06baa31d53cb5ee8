/**
 * Which workers could take a task, and why none of them does.
 *
 * Pure. A task avoids workers where it ended badly while another worker that gets work could take it, busy or not; so a free worker may
 * pass it by.
 */
import { bytesText } from "./bytes-text.ts";
import { memoryClass, workerMemoryClass } from "./order.ts";
import type { Ahead, Constraint, ExplainFacts, ExplainWorker, OpenTask } from "./explain-facts.ts";

/** The workers of a task's pool, as a claim sees them. */
export type Fleet = {
  readonly pool: readonly ExplainWorker[];
  readonly live: readonly ExplainWorker[];
  /** Live ones that can run the shape, were their memory enough. */
  readonly sized: readonly ExplainWorker[];
  /** Live ones that can run the shape. */
  readonly holders: readonly ExplainWorker[];
  readonly cordoned: readonly ExplainWorker[];
  /** Its engine failed there, or the worker failed too often: for a while. */
  readonly quarantined: readonly ExplainWorker[];
  readonly suspended: readonly ExplainWorker[];
  /** Could take it, were they not avoided. */
  readonly avoided: readonly ExplainWorker[];
  readonly busy: readonly ExplainWorker[];
  /** Take it, when their turn comes to it. */
  readonly free: readonly ExplainWorker[];
};

/** Sorts the workers by what keeps each from taking the task. */
export function fleetOf({ pool: name, shape, avoid, memoryBytes: need }: OpenTask, workers: readonly ExplainWorker[]): Fleet {
  const pool = workers.filter((worker) => worker.pool === name);
  const live = pool.filter(({ isLive }) => isLive);
  const sized = live.filter(({ shapes }) => shapes.includes(shape));
  const holders = sized.filter(({ memoryBytes }) => memoryClass(need) <= workerMemoryClass(memoryBytes));
  const uncordoned = holders.filter(({ isCordoned }) => !isCordoned);
  const served = uncordoned.filter(({ quarantined }) => !quarantined.includes(shape));
  const preferred = served.filter(({ workerId }) => !avoid.includes(workerId));
  // A suspended one is waited for: it comes back by itself.
  const usable = preferred.length > 0 ? preferred : served;
  const working = usable.filter(({ health }) => health !== "suspended");
  return {
    pool,
    live,
    sized,
    holders,
    cordoned: holders.filter(({ isCordoned }) => isCordoned),
    quarantined: uncordoned.filter((worker) => !served.includes(worker)),
    suspended: served.filter(({ health }) => health === "suspended"),
    avoided: served.filter((worker) => !usable.includes(worker)),
    busy: working.filter(({ isBusy }) => isBusy),
    free: working.filter(({ isBusy }) => !isBusy),
  };
}

/** Which pools there are, and how many workers they should have. */
export type FarmFacts = Pick<ExplainFacts, "pools" | "scaled">;

/** What keeps every worker from it until somebody does something about it, or for a longer time. */
export function noneCanRun(task: OpenTask, fleet: Fleet, facts: FarmFacts): readonly Constraint[] {
  if (!facts.pools.includes(task.pool)) return [poolGone(task)];
  if (fleet.live.length === 0) return [noWorker(task, fleet, facts)];
  if (fleet.sized.length === 0) return [engineMissing(task, fleet)];
  if (fleet.holders.length === 0) return [memoryMissing(task, fleet)];
  return fleet.busy.length + fleet.free.length === 0 ? shut(task, fleet) : [];
}

/** Why some of those that could run it do not. */
function shut(task: OpenTask, fleet: Fleet): readonly Constraint[] {
  return [
    ...(fleet.cordoned.length > 0 ? [cordoned(task, fleet)] : []),
    ...(fleet.quarantined.length > 0 ? [quarantined(task, fleet)] : []),
    ...(fleet.suspended.length > 0 ? [suspended(task, fleet)] : []),
    ...(fleet.avoided.length > 0 ? [avoided(task, fleet)] : []),
  ];
}

/** Why a ready task does not start; empty when a free worker takes it next. */
export function whyNoneStarts(task: OpenTask, fleet: Fleet, facts: FarmFacts): readonly Constraint[] {
  const none = noneCanRun(task, fleet, facts);
  const ahead = countAhead(task.ahead);
  if (none.length > 0 || ahead < fleet.free.length) return none;
  return [
    ...(fleet.free.length === 0 ? [workersBusy(task, fleet)] : []),
    ...(ahead > 0 ? [behindOthers(task, fleet)] : []),
    ...shut(task, fleet),
  ];
}

function poolGone({ pool }: OpenTask): Constraint {
  const message = `the farm has no pool ${pool} any more, and the task was planned for it`;
  return { kind: "pool_gone", message, remedy: "configure the pool again (VAPFARM_POOLS), or cancel the job and submit it anew" };
}

function noWorker({ pool: name }: OpenTask, { pool }: Fleet, { scaled = [] }: FarmFacts): Constraint {
  const known = pool.length === 0 ? "" : `; ${countOf(pool.length, "is", "are")} known and not live: ${namesOf(pool)}`;
  const decided = scaled.find((one) => one.pool === name);
  if (decided === undefined)
    return { kind: "no_worker", message: `no worker of pool ${name} is live${known}`, remedy: `start a worker of pool ${name}` };
  const { desired, loadMs, reason } = decided;
  const message = `no worker of pool ${name} is live, ${desired === 0 ? `and none is asked for: ${reason}` : `${desired} ${desired === 1 ? "is" : "are"} asked for`}`;
  const wait = `wait: a worker of pool ${name} takes about ${Math.round(loadMs / 1000)} s to serve`;
  return { kind: "no_worker", message, remedy: desired === 0 ? "" : wait };
}

function engineMissing({ shape, model, pool }: OpenTask, { live }: Fleet): Constraint {
  const which = live.length === 1 ? "the live worker" : `none of ${live.length} live workers`;
  const message = `${which} of pool ${pool} ${live.length === 1 ? "does not hold" : "holds"} ${shape} of model ${model}`;
  return { kind: "engine_missing", message, remedy: `roll model ${model} out to a worker of pool ${pool}, as the coordinator has it` };
}

function cordoned(task: OpenTask, fleet: Fleet): Constraint {
  const message = `${shareOf(fleet.cordoned.length, fleet, task)} cordoned: ${namesOf(fleet.cordoned)}`;
  const [first] = fleet.cordoned;
  return { kind: "cordoned", message, remedy: `vapfarm workers uncordon ${first?.name ?? "NAME"}` };
}

function quarantined(task: OpenTask, fleet: Fleet): Constraint {
  const isAre = fleet.quarantined.length === 1 ? "it failed there" : "it failed on each";
  const message = `${shareOf(fleet.quarantined.length, fleet, task)} shut for ${task.shape} for a while, because ${isAre}: ${namesOf(fleet.quarantined)}`;
  return { kind: "quarantined", message, remedy: clearRemedy(fleet.quarantined) };
}

function suspended(task: OpenTask, fleet: Fleet): Constraint {
  const message = `${shareOf(fleet.suspended.length, fleet, task)} suspended after failures: ${namesOf(fleet.suspended)}`;
  return { kind: "suspended", message, remedy: clearRemedy(fleet.suspended) };
}

const clearRemedy = ([first]: readonly ExplainWorker[]): string =>
  `wait, or mend it and run \`vapfarm workers clear ${first?.name ?? "NAME"}\``;

/** Busy ones, and what the others that could run it are. */
function workersBusy(task: OpenTask, fleet: Fleet): Constraint {
  const others = [
    ...(fleet.cordoned.length > 0 ? [`${countOf(fleet.cordoned.length, "is", "are")} cordoned`] : []),
    ...(fleet.quarantined.length > 0 ? [`${countOf(fleet.quarantined.length, "has", "have")} its engine in quarantine`] : []),
    ...(fleet.suspended.length > 0 ? [`${countOf(fleet.suspended.length, "is", "are")} suspended`] : []),
    ...(fleet.avoided.length > 0 ? [`${countOf(fleet.avoided.length, "is", "are")} avoided`] : []),
  ];
  const message = [`${shareOf(fleet.busy.length, fleet, task)} busy`, ...others].join(", ");
  return { kind: "workers_busy", message, remedy: "wait, or start another worker" };
}

function behindOthers({ ahead, shape, pool }: OpenTask, { free }: Fleet): Constraint {
  const count = countAhead(ahead);
  const first = `${countOf(count, "ready task of", "ready tasks of")} ${shape} in pool ${pool} ${count === 1 ? "comes" : "come"} first`;
  const message = `${first} (${whyAhead(ahead)}), ${countOf(free.length, "worker is", "workers are")} free`;
  return {
    kind: "behind_others",
    message,
    remedy: "wait, start another worker, or raise the job's priority (vapfarm update JOB --priority N)",
  };
}

function countAhead({ better, fairer, own }: Ahead): number {
  return better + fairer + own;
}

function whyAhead({ better, fairer, own }: Ahead): string {
  return [
    ...(better > 0 ? [`${better} of a higher class or priority`] : []),
    ...(fairer > 0 ? [`${fairer} of tenants that had less device time`] : []),
    ...(own > 0 ? [`${own} of its own tenant`] : []),
  ].join(", ");
}

function memoryMissing({ shape, pool, memoryBytes }: OpenTask, { sized }: Fleet): Constraint {
  const most = Math.max(...sized.map((worker) => worker.memoryBytes));
  const [need, has] = [bytesText(memoryBytes), bytesText(most)];
  // What was too little for it before may be what there is.
  const needed = need === has ? `more than ${need}` : need;
  const message = `${shape} needs ${needed}, the largest live worker of pool ${pool} that holds it has ${has}`;
  return { kind: "memory_missing", message, remedy: `start a worker of pool ${pool} with more device memory` };
}

function avoided(task: OpenTask, fleet: Fleet): Constraint {
  const why = "ended badly before, and others could take it";
  const message = `its attempts on ${namesOf(fleet.avoided)} ${why}: ${namesOf(fleet.holders.filter((worker) => isPreferred(worker, task)))}`;
  return { kind: "avoided", message, remedy: "look at that worker; when the others should not be waited for, cordon them" };
}

function isPreferred({ workerId, isCordoned }: ExplainWorker, { avoid }: OpenTask): boolean {
  return !isCordoned && !avoid.includes(workerId);
}

/** E.g. "2 of 3 workers that hold the engine are". */
function shareOf(count: number, { holders }: Fleet, { shape }: OpenTask): string {
  const isOne = holders.length === 1;
  const need = shape.endsWith("/-") ? "can run it" : isOne ? "holds the engine" : "hold the engine";
  return `${count} of ${holders.length} ${isOne ? "worker" : "workers"} that ${need} ${count === 1 ? "is" : "are"}`;
}

const countOf = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

function namesOf(workers: readonly ExplainWorker[]): string {
  const shown = workers.slice(0, 5).map(({ name }) => name);
  return workers.length > shown.length ? `${shown.join(", ")} and ${workers.length - shown.length} more` : shown.join(", ");
}
