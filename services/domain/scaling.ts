/**
 * How many workers a pool should have: from the device time that is admitted, how long a worker takes to serve, and what was needed lately.
 *
 * Pure; what must be remembered goes in and comes out as a value. More workers are asked for as soon as they are needed. Fewer are only when
 * fewer were enough for a while, so that a pool never flaps: it can grow and shrink at most once in that time. Work that cannot start (held,
 * stopped, over a tenant's limit, of a shape that no worker has) asks for nobody.
 */

/** What an operator sets for a pool; replicas in, replicas out. */
export type ScalingRule = {
  readonly min: number;
  readonly max: number;
  /** How long admitted work should take until it is done, as long as no worker has to be started. */
  readonly targetWaitMs: number;
  /** How long fewer workers must have been enough before one goes. */
  readonly downAfterMs: number;
  /** How long nothing was to do before the last one goes; where `min` is 0. */
  readonly idleMs: number;
  /** How long a worker takes to serve, until that was measured. */
  readonly loadMs: number;
  /** How often a pool tries whether a new worker could run what no known one could. */
  readonly probeMs: number;
};

/** What one tenant has in a pool, of what may start. */
export type TenantWork = {
  /** Tasks that a worker could be given now. */
  readonly ready: number;
  readonly running: number;
  /** Renders that have no tasks yet. */
  readonly waitingRenders: number;
  /** Expected device time of all of it: ready, blocked, delayed, what runs has left, and what waits. */
  readonly workMs: number;
  /** Attempts that it may have at once; undefined: as many as there are workers. */
  readonly maxRunning: number | undefined;
};

export type PoolWork = {
  readonly tenants: readonly TenantWork[];
  /** More lies ready than is counted. */
  readonly isMore: boolean;
  /** Ready tasks that no known worker could run. */
  readonly unrunnable: number;
};

export type PoolFleet = {
  /** Workers that the cluster was asked for. */
  readonly asked: number;
  /** Live, and given work. */
  readonly serving: number;
  /** Asked for and not serving yet: since when. */
  readonly startingAgesMs: readonly number[];
  /** Live, but set aside by a person. */
  readonly setAside: number;
  /** How long a worker takes to serve; undefined: never measured. */
  readonly loadMs: number | undefined;
};

/** What the next decision needs of those before. */
export type ScaleMemory = {
  readonly sinceMs: number;
  readonly atMs: number;
  /** Running attempts, averaged over `downAfterMs`. */
  readonly busy: number;
  /** Falling: what was needed, where it can still be the most of its time. */
  readonly needs: readonly { readonly atMs: number; readonly workers: number }[];
  /** When there was work last. */
  readonly workAtMs: number | undefined;
  /** When unrunnable work was tried last, and with how many workers. */
  readonly probedAtMs: number | undefined;
  readonly probeWorkers?: number | undefined;
};

export type ScaleDecision = {
  readonly desired: number;
  /** Device time that counts, of all tenants. */
  readonly backlogMs: number;
  readonly loadMs: number;
  /** Why, for people. */
  readonly reason: string;
  readonly memory: ScaleMemory;
};

export type ScaleFacts = {
  readonly work: PoolWork;
  readonly fleet: PoolFleet;
  readonly nowMs: number;
  /** How far apart rounds are: after a longer gap nothing is known of what was needed in it. */
  readonly roundMs: number;
  /** Undefined: nothing is remembered. */
  readonly memory: ScaleMemory | undefined;
};

/** A worker that is started should serve at least as long as its start took. */
const worthOfStart = 2;
/** So many rounds may be missed before what was remembered counts as a gap. */
const mostMissed = 5;
/** A moving average never quite arrives. */
const nearlyNobody = 0.05;

type Need = { readonly workers: number; readonly backlogMs: number; readonly tasks: number; readonly why: string };

/** The workers to ask for now. */
export function decideScale(rule: ScalingRule, facts: ScaleFacts): ScaleDecision {
  const { work, fleet, nowMs } = facts;
  const memory = resumed(facts);
  const loadMs = fleet.loadMs ?? rule.loadMs;
  const busy = averageBusy(rule, { work, nowMs, memory });
  const need = needOf(rule, { work, fleet, loadMs, busy });
  const probe = probeOf(rule, { work, fleet, nowMs, loadMs, memory });
  const workers = clamp(Math.max(need.workers, probe.isProbing ? probe.probeWorkers : 0) + fleet.setAside, rule);
  const needs = remembered(memory?.needs ?? [], { atMs: nowMs, workers }, rule.downAfterMs);
  const next: ScaleMemory = {
    sinceMs: memory?.sinceMs ?? nowMs,
    atMs: nowMs,
    busy,
    needs,
    workAtMs: need.tasks > 0 || probe.isProbing ? nowMs : (memory?.workAtMs ?? nowMs),
    probedAtMs: probe.probedAtMs,
    probeWorkers: probe.probeWorkers,
  };
  const { desired, hold } = settle(rule, { asked: fleet.asked, workers, memory: next });
  const why =
    probe.isProbing && probe.probeWorkers > need.workers
      ? `tries whether a new worker can run ${work.unrunnable} ready tasks that no known one can`
      : need.why;
  return { desired, backlogMs: need.backlogMs, loadMs, reason: hold === undefined ? why : `${why}; ${hold}`, memory: next };
}

/** After a gap it goes on as if the last round before it were this one: what was in between nobody knows. */
function resumed({ memory, nowMs, roundMs }: ScaleFacts): ScaleMemory | undefined {
  if (memory === undefined || nowMs - memory.atMs <= mostMissed * roundMs) return memory;
  const needs = memory.needs.slice(-1).map(({ workers }) => ({ atMs: nowMs, workers }));
  return { ...memory, sinceMs: nowMs, atMs: nowMs, workAtMs: nowMs, needs };
}

type NeedFacts = { readonly work: PoolWork; readonly fleet: PoolFleet; readonly loadMs: number; readonly busy: number };

/** As many as clear what is admitted in time, not fewer than were busy, and not more than there are tasks to run at once. */
function needOf(rule: ScalingRule, { work, fleet, loadMs, busy }: NeedFacts): Need {
  const horizonMs = Math.max(rule.targetWaitMs, worthOfStart * loadMs);
  const most = ({ maxRunning = Infinity }: TenantWork): number => Math.max(0, maxRunning);
  const tasks = sum(work.tenants, (tenant) => Math.min(tenant.ready + tenant.running + tenant.waitingRenders, most(tenant)));
  const backlogMs = sum(work.tenants, (tenant) => Math.min(tenant.workMs, most(tenant) * horizonMs));
  if (tasks === 0) return { workers: 0, backlogMs: 0, tasks, why: "nothing is to do that may start" };
  if (work.isMore) return { workers: rule.max, backlogMs, tasks, why: "more tasks are ready than are counted" };
  const clearing = Math.max(1, workersFor(backlogMs, { horizonMs, loadMs, fleet }));
  const kept = Math.ceil(busy - nearlyNobody);
  const backlog = `${seconds(backlogMs)} of ${tasks} tasks and renders`;
  if (tasks <= Math.max(clearing, kept)) return { workers: tasks, backlogMs, tasks, why: `${backlog}: no more can run at once` };
  if (kept > clearing) return { workers: kept, backlogMs, tasks, why: `${backlog}: ${kept} were busy on average` };
  return { workers: clearing, backlogMs, tasks, why: `${backlog}: ${clearing} clear them in ${seconds(horizonMs)}` };
}

type Capacity = { readonly horizonMs: number; readonly loadMs: number; readonly fleet: PoolFleet };

/** Serving ones work through the whole horizon, those that start what is left of it then. */
function workersFor(workMs: number, { horizonMs, loadMs, fleet }: Capacity): number {
  const serving = Math.min(fleet.serving, Math.ceil(workMs / horizonMs));
  let leftMs = workMs - serving * horizonMs;
  let workers = serving;
  for (const ageMs of fleet.startingAgesMs.toSorted((left, right) => right - left)) {
    if (leftMs <= 0) return workers;
    leftMs -= horizonMs - Math.max(0, loadMs - Math.max(0, ageMs));
    workers += 1;
  }
  return leftMs <= 0 ? workers : workers + Math.ceil(leftMs / (horizonMs - loadMs));
}

type BusyFacts = Pick<ScaleFacts, "work" | "nowMs" | "memory">;

function averageBusy({ downAfterMs }: ScalingRule, { work, nowMs, memory }: BusyFacts): number {
  const running = sum(work.tenants, (tenant) => tenant.running);
  if (memory === undefined) return running;
  const share = 1 - Math.exp(-Math.max(0, nowMs - memory.atMs) / Math.max(1, downAfterMs));
  return memory.busy + (running - memory.busy) * share;
}

type ProbeFacts = Pick<ScaleFacts, "work" | "fleet" | "nowMs" | "memory"> & { readonly loadMs: number };

/**
 * One worker more than serve, whatever else they do, for work which none of them could run. It stays until it could have told what it holds. A
 * pool that may have no more tries nothing.
 */
function probeOf(rule: ScalingRule, { work, fleet, nowMs, loadMs, memory }: ProbeFacts) {
  const last = { probedAtMs: memory?.probedAtMs, probeWorkers: memory?.probeWorkers ?? 0 };
  if (work.unrunnable === 0) return { ...last, isProbing: false };
  if (last.probedAtMs === undefined || nowMs - last.probedAtMs >= rule.probeMs) {
    const probeWorkers = fleet.serving + 1;
    if (probeWorkers + fleet.setAside > rule.max) return { ...last, isProbing: false };
    return { isProbing: true, probedAtMs: nowMs, probeWorkers };
  }
  return { ...last, isProbing: nowMs - last.probedAtMs < Math.max(rule.idleMs, worthOfStart * loadMs) };
}

type Seen = ScaleMemory["needs"][number];

/** Without those that are older than the window, or not above one that came later. */
function remembered(needs: readonly Seen[], latest: Seen, windowMs: number): readonly Seen[] {
  return [...needs.filter(({ atMs, workers }) => atMs > latest.atMs - windowMs && workers > latest.workers), latest];
}

type Settling = { readonly asked: number; readonly workers: number; readonly memory: ScaleMemory };

/** Up at once; down to the most that was needed in the window, once there is one. */
function settle(rule: ScalingRule, { asked, workers, memory }: Settling): { readonly desired: number; readonly hold?: string } {
  const within = clamp(asked, rule);
  if (workers >= within) return { desired: workers };
  if (memory.atMs - memory.sinceMs < rule.downAfterMs)
    return { desired: within, hold: `stays at ${within}: not watched for ${seconds(rule.downAfterMs)} yet` };
  const highest = Math.min(within, Math.max(...memory.needs.map((need) => need.workers)));
  const isIdle = memory.atMs - (memory.workAtMs ?? memory.sinceMs) >= rule.idleMs;
  const desired = highest === 0 && !isIdle ? Math.min(1, within) : highest;
  if (desired === workers) return { desired };
  return { desired, hold: `stays at ${desired}: that many were needed in the last ${seconds(Math.max(rule.downAfterMs, rule.idleMs))}` };
}

function clamp(workers: number, { min, max }: ScalingRule): number {
  return Math.min(Math.max(workers, min), max);
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
