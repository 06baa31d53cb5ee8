/**
 * Which runs make way for which waiting tasks (design §5; docs/decisions/0015).
 *
 * Pure. Invariants: a victim is outranked by its beneficiary (class, priority by a margin, or a deadline that only this would save); it has
 * run for long enough, keeps its steps, has enough left to be worth it, and has not made way too often; the beneficiary could run where the
 * victim does, and nobody is free for it. At most one choice for each beneficiary, victim and worker, and a few at a time in each pool. Whoever
 * applies a choice checks it again (vf_may_preempt).
 */
import { memoryClass, workerMemoryClass } from "./order.ts";

export type PreemptionPolicy = {
  /** How long a task waits before a run makes way for it. */
  readonly graceMs: number;
  /** Device time that an attempt has before it makes way. */
  readonly minRunMs: number;
  /** How much higher a priority of the same class must be. */
  readonly priorityMargin: number;
  /** Whether a task that would else miss its deadline goes before those of its class without one, or with a later one. */
  readonly deadlines: boolean;
  /** A task that made way so often does so no more. */
  readonly mostTimes: number;
  /** Open ones in a pool; 0: none is ever opened. */
  readonly mostOpen: number;
  /** Less time than this left of a run is not worth it. */
  readonly leastLeftMs: number;
  /** Nor is this last share of it. */
  readonly lastShare: number;
  /** A run that keeps nothing makes way only within this first share of what it is expected to take. */
  readonly lostShare: number;
  /** How long a slot is kept for the beneficiary after the victim's end. */
  readonly keepSlotMs: number;
};

/** What the farm does unless it is told otherwise. */
export const defaultPreemption: PreemptionPolicy = {
  graceMs: 10_000,
  minRunMs: 60_000,
  priorityMargin: 10,
  deadlines: false,
  mostTimes: 3,
  mostOpen: 4,
  leastLeftMs: 30_000,
  lastShare: 0.1,
  lostShare: 0.05,
  keepSlotMs: 60_000,
};

/** A ready task that has waited for longer than the grace. Lower class ranks come first. */
export type WaitingTask = {
  readonly taskId: number;
  readonly pool: string;
  readonly shape: string;
  /** Device memory that it needs at least; 0: not known. */
  readonly memoryBytes: number;
  readonly classRank: number;
  readonly priority: number;
  /** Workers where it ended badly: they get it when no other could. */
  readonly avoid: readonly string[];
  /** Until its nearest deadline; null: it has none. */
  readonly deadlineMs: number | null;
  /** The same, less what its render computes yet. */
  readonly slackMs: number | null;
};

/** A current attempt, as its last beat told of it. */
export type RunningAttempt = {
  readonly attemptId: string;
  readonly taskId: number;
  /** 1 for the task's first try. */
  readonly number: number;
  readonly pool: string;
  readonly workerId: string;
  readonly classRank: number;
  readonly priority: number;
  readonly deadlineMs: number | null;
  readonly phase: "fetch" | "compute" | "finish";
  readonly step: number;
  readonly steps: number;
  /** Device time so far. */
  readonly ranMs: number;
  /** Whether its stage is one that tells checkpoints. */
  readonly keepsCheckpoints: boolean;
  /** Since this attempt's last checkpoint was told; null: it told none. */
  readonly unkeptMs: number | null;
  /** Of a whole run of its shape; 0: unknown. */
  readonly expectedMs: number;
  readonly timesPreempted: number;
};

/** One that gets work and beats. */
type FleetWorker = {
  readonly workerId: string;
  readonly pool: string;
  readonly shapes: readonly string[];
  /** Of its device; 0: not known. */
  readonly memoryBytes: number;
};

/** One snapshot. Waiting tasks are in their order. */
export type Preemptable = {
  readonly waiting: readonly WaitingTask[];
  readonly running: readonly RunningAttempt[];
  readonly workers: readonly FleetWorker[];
  readonly open: readonly { readonly pool: string; readonly workerId: string }[];
};

export type PreemptionReason = "class" | "priority" | "deadline";

type Victim = {
  readonly attemptId: string;
  readonly taskId: number;
  readonly workerId: string;
  readonly beneficiaryId: number;
  readonly reason: PreemptionReason;
  /** It has no checkpoint, and has done too little for that to matter. */
  readonly losesAll: boolean;
};

/** Chooses; the same snapshot gives the same victims. */
export function choosePreemptions(snapshot: Preemptable, policy: PreemptionPolicy): readonly Victim[] {
  const free = new Set(snapshot.workers.map(({ workerId }) => workerId).filter((id) => holdersOf(snapshot, id).length === 0));
  const taken = new Set(snapshot.open.map(({ workerId }) => workerId));
  const open = new Map<string, number>();
  for (const { pool } of snapshot.open) open.set(pool, (open.get(pool) ?? 0) + 1);
  const victims: Victim[] = [];
  for (const task of snapshot.waiting) {
    const able = ableWorkers(task, snapshot.workers);
    const starts = able.find((workerId) => free.has(workerId));
    // A free worker takes it with its next ask, and then takes no other.
    if (starts !== undefined) free.delete(starts);
    if (starts !== undefined || (open.get(task.pool) ?? 0) >= policy.mostOpen) continue;
    const victim = victimFor(task, { snapshot, policy, able: able.filter((workerId) => !taken.has(workerId)) });
    if (victim === undefined) continue;
    victims.push(victim);
    taken.add(victim.workerId);
    open.set(task.pool, (open.get(task.pool) ?? 0) + 1);
  }
  return victims;
}

/** The worker's attempts that hold its slot: one that finishes does not. */
function holdersOf({ running }: Preemptable, id: string): readonly RunningAttempt[] {
  return running.filter(({ workerId, phase }) => workerId === id && phase !== "finish");
}

/** Those that could take the task, busy or not. */
function ableWorkers({ pool, shape, avoid, memoryBytes: need }: WaitingTask, workers: readonly FleetWorker[]): readonly string[] {
  const holders = workers.filter(
    (worker) => worker.pool === pool && worker.shapes.includes(shape) && memoryClass(need) <= workerMemoryClass(worker.memoryBytes),
  );
  const able = holders.map(({ workerId }) => workerId).toSorted();
  const preferred = able.filter((workerId) => !avoid.includes(workerId));
  return preferred.length > 0 ? preferred : able;
}

type Search = { readonly snapshot: Preemptable; readonly policy: PreemptionPolicy; readonly able: readonly string[] };

/** The one that loses least; among equals the one that counts least. */
function victimFor(task: WaitingTask, search: Search): Victim | undefined {
  const found = search.able.flatMap((id) => {
    const holders = holdersOf(search.snapshot, id);
    // Where another attempt waits for the slot, freeing it would not free it for the task.
    return holders.length === 1 ? holders.filter((run) => mayMakeWay(run, search.policy)) : [];
  });
  const outranked = found.flatMap((run) => {
    const reason = reasonFor(task, run, search);
    return reason === undefined ? [] : [{ run, reason }];
  });
  const [first] = outranked.toSorted(
    (left, right) =>
      lostMs(left.run) - lostMs(right.run) ||
      right.run.classRank - left.run.classRank ||
      left.run.priority - right.run.priority ||
      (left.run.attemptId < right.run.attemptId ? -1 : 1),
  );
  if (first === undefined) return undefined;
  const { attemptId, taskId, workerId, unkeptMs } = first.run;
  return { attemptId, taskId, workerId, beneficiaryId: task.taskId, reason: first.reason, losesAll: unkeptMs === null };
}

/** What is computed twice if the last checkpoint that is told is all that is kept. */
function lostMs({ unkeptMs, ranMs }: RunningAttempt): number {
  return unkeptMs ?? ranMs;
}

/**
 * How long the run takes yet, by its own pace. A later attempt may have gone on at a checkpoint, and then seems faster than it is: there what
 * its shape is known to take counts too.
 */
export function runLeftMs({ number, step, steps, ranMs, expectedMs }: RunningAttempt): number {
  const share = steps > 0 ? Math.min(1, step / steps) : 0;
  if (share === 0) return Math.max(0, expectedMs - ranMs);
  const byPaceMs = (ranMs * (1 - share)) / share;
  return number === 1 ? byPaceMs : Math.max(byPaceMs, expectedMs * (1 - share));
}

/** Whether the run may be stopped at all. */
export function mayMakeWay(run: RunningAttempt, policy: PreemptionPolicy): boolean {
  if (run.phase !== "compute" || run.ranMs < policy.minRunMs || run.timesPreempted >= policy.mostTimes) return false;
  if (run.unkeptMs === null && (run.keepsCheckpoints || run.ranMs > policy.lostShare * run.expectedMs)) return false;
  if (run.steps > 0 && run.step >= run.steps * (1 - policy.lastShare)) return false;
  const leftMs = runLeftMs(run);
  return leftMs >= policy.leastLeftMs && leftMs > lostMs(run);
}

/** Why the task goes before the run; undefined when it does not. */
function reasonFor(task: WaitingTask, run: RunningAttempt, search: Search): PreemptionReason | undefined {
  if (task.classRank !== run.classRank) return task.classRank < run.classRank ? "class" : undefined;
  if (task.priority >= run.priority + search.policy.priorityMargin) return "priority";
  return search.policy.deadlines && task.priority >= run.priority && savesDeadline(task, run, search) ? "deadline" : undefined;
}

/** Whether the task is in time if it starts now, and is not if it waits for the first run that ends by itself. */
function savesDeadline({ deadlineMs, slackMs }: WaitingTask, run: RunningAttempt, { snapshot, able }: Search): boolean {
  if (deadlineMs === null || slackMs === null || slackMs < 0) return false;
  if (run.deadlineMs !== null && run.deadlineMs <= deadlineMs) return false;
  return slackMs < Math.min(...snapshot.running.filter(({ workerId }) => able.includes(workerId)).map(runLeftMs));
}
