/**
 * The order of claims: which of the ready tasks a worker is given (design §5).
 *
 * Pure. Ready tasks lie in lanes (pool, shape, memory class, class, priority, tenant) and only the head of each is looked at. The database makes
 * the same choice in one statement (`vf_choose`, prisma/migrations); a test holds both together, so a rule that is changed here is changed there.
 *
 * In this order: a class that has less than its floor; class; priority; what only a worker of this size can run; the tenant with the least decayed
 * device time for its weight. Of that tenant's heads: what is due first; what needs no other engine, or has waited for one
 * long enough; what is nearest its render's end; the oldest; what takes results of this worker.
 */

/** The first ready task of a lane. Times in ms of one clock; a lane is named by its fields. */
export type LaneHead = {
  readonly taskId: number;
  /** Stage and engine, e.g. `denoise/<digest>`, `prepare/-`. */
  readonly shape: string;
  /** As of `memoryClass`. */
  readonly memoryClass: number;
  /** 0: production, 1: benchmark. */
  readonly classRank: number;
  readonly priority: number;
  readonly tenant: string;
  /** Infinity without a deadline. */
  readonly dueAtMs: number;
  /** Open tasks of its render. */
  readonly tasksLeft: number;
  readonly queuedAtMs: number;
  readonly readyAtMs: number;
  /** Whether one of its inputs was made by the asking worker. */
  readonly isLocal: boolean;
};

/** What tenants had and may have; one that is missing had nothing and has weight 1. */
export type TenantStanding = {
  /** Decayed device time, in any unit that all share. */
  readonly charged: number;
  readonly weight: number;
  /** As many attempts of it run as may. */
  readonly isAtLimit: boolean;
};

export type ClaimScene = {
  readonly heads: readonly LaneHead[];
  readonly tenants: ReadonlyMap<string, TenantStanding>;
  /** Decayed device time by class rank. */
  readonly classes: readonly number[];
  readonly worker: { readonly shapes: readonly string[]; readonly memoryClass: number; readonly residentEngines: readonly string[] };
  /** The lowest memory class of a live worker of the pool. */
  readonly leastMemoryClass: number;
  readonly nowMs: number;
};

export type OrderPolicy = {
  /** The share of a pool's device time that each class gets while it has tasks, by class rank. */
  readonly floors: readonly number[];
  /** How long a task whose engine is not loaded lets others pass that need none. */
  readonly residentPatienceMs: number;
};

const unknownTenant: TenantStanding = { charged: 0, weight: 1, isAtLimit: false };
const classesPerOctave = 16;
const mebibyte = 1024 ** 2;
const anyMemory = 32_767;

/** The class of a task that needs that much device memory at least, in bytes; 0 where it is not known. */
export function memoryClass(bytes: number): number {
  return bytes <= mebibyte ? 0 : Math.ceil(classesPerOctave * Math.log2(bytes / mebibyte));
}

/** The highest class that a worker of so much device memory can run; it takes all where that is not known (0). */
export function workerMemoryClass(bytes: number): number {
  if (bytes <= 0) return anyMemory;
  return bytes <= mebibyte ? 0 : Math.floor(classesPerOctave * Math.log2(bytes / mebibyte));
}

/** Ranks of the classes that have less than their floor of what all had. */
export function starvedClasses(charged: readonly number[], floors: readonly number[]): readonly number[] {
  const total = charged.reduce((sum, each) => sum + each, 0);
  return floors.flatMap((floor, rank) => ((charged[rank] ?? 0) < floor * total ? [rank] : []));
}

/** The task that is the worker's turn; undefined when there is none for it. */
export function chooseTask(scene: ClaimScene, policy: OrderPolicy): number | undefined {
  const { worker, tenants } = scene;
  const starved = starvedClasses(scene.classes, policy.floors);
  const open = scene.heads.filter(
    ({ shape, memoryClass: need, tenant }) =>
      worker.shapes.includes(shape) && need <= worker.memoryClass && !(tenants.get(tenant) ?? unknownTenant).isAtLimit,
  );
  const [level] = open.toSorted(
    (one, other) =>
      Number(starved.includes(other.classRank)) - Number(starved.includes(one.classRank)) ||
      one.classRank - other.classRank ||
      other.priority - one.priority,
  );
  if (level === undefined) return undefined;
  const peers = open.filter(({ classRank, priority }) => classRank === level.classRank && priority === level.priority);
  const tenant = nextTenant(peers, scene);
  const [chosen] = peers.filter((head) => head.tenant === tenant).toSorted(headOrder(scene, policy));
  return chosen?.taskId;
}

/** How much a tenant had for its weight: the lower, the sooner it is served. */
export function shareOf(tenant: string, tenants: ReadonlyMap<string, TenantStanding>): number {
  const { charged, weight } = tenants.get(tenant) ?? unknownTenant;
  return charged / weight;
}

function nextTenant(heads: readonly LaneHead[], { tenants, leastMemoryClass }: ClaimScene): string | undefined {
  const hasScarce = (tenant: string): boolean => heads.some((head) => head.tenant === tenant && isScarce(head, leastMemoryClass));
  const [first] = [...new Set(heads.map(({ tenant }) => tenant))].toSorted(
    (one, other) =>
      Number(hasScarce(other)) - Number(hasScarce(one)) || shareOf(one, tenants) - shareOf(other, tenants) || compareText(one, other),
  );
  return first;
}

/** The order of a tenant's heads. */
function headOrder(scene: ClaimScene, policy: OrderPolicy): (one: LaneHead, other: LaneHead) => number {
  const swaps = (head: LaneHead): number => Number(needsPatience(head, scene, policy));
  return (one, other) =>
    Number(isScarce(other, scene.leastMemoryClass)) - Number(isScarce(one, scene.leastMemoryClass)) ||
    compareNumbers(one.dueAtMs, other.dueAtMs) ||
    swaps(one) - swaps(other) ||
    one.tasksLeft - other.tasksLeft ||
    one.queuedAtMs - other.queuedAtMs ||
    Number(other.isLocal) - Number(one.isLocal) ||
    one.taskId - other.taskId;
}

/** Whether only some of the pool's workers have the memory for it. */
function isScarce({ memoryClass: need }: LaneHead, leastMemoryClass: number): boolean {
  return need > leastMemoryClass;
}

/** Whether others that need no other engine may still pass it. */
function needsPatience({ shape, readyAtMs }: LaneHead, { worker, nowMs }: ClaimScene, { residentPatienceMs }: OrderPolicy): boolean {
  const engine = shape.split("/")[1] ?? "-";
  return engine !== "-" && !worker.residentEngines.includes(engine) && readyAtMs > nowMs - residentPatienceMs;
}

/** Of infinities too. */
function compareNumbers(one: number, other: number): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

function compareText(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}
