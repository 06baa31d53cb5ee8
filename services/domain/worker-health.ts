/**
 * Which workers get no work for a while, judged by what they ended last (design §4.7).
 *
 * A failure counts against its worker if the task later succeeded elsewhere, or if tasks of several tenants failed there alike. So neither
 * a task that fails everywhere nor one tenant's bad tasks take a worker away. A suspended worker comes back on probation: one task at a
 * time, until some succeed.
 *
 * Invariants: no verdict leaves more than half of a pool's live workers suspended, for what fails everywhere has another cause than
 * the workers; each suspension that is not forgotten yet doubles the next.
 */
import type { ErrorClass } from "./errors.ts";

export type HealthState = "healthy" | "suspended" | "probation";

/** An attempt that ended. */
export type EndedAttempt = {
  readonly taskId: number;
  readonly tenant: string;
  readonly isSuccess: boolean;
  /** Of a class that may be the worker's fault, or given back without an order. */
  readonly isBlamed: boolean;
  readonly succeededElsewhere: boolean;
  readonly failedElsewhere: boolean;
};

export type JudgedWorker = {
  readonly workerId: string;
  readonly pool: string;
  /** With a lease in force, and not cordoned. */
  readonly isLive: boolean;
  readonly state: HealthState;
  /** Suspensions that are not forgotten. */
  readonly spells: number;
  /** Its release or profile is another than when it was judged last. */
  readonly isRenewed: boolean;
  /** In its state. */
  readonly elapsedMs: number;
  /** Of a suspension; not above 0: it is over. */
  readonly leftMs: number;
  /** What it began in its state and ended in the window, newest first. */
  readonly ended: readonly EndedAttempt[];
};

export type HealthFacts = {
  readonly workers: readonly JudgedWorker[];
  /** Live workers by pool, those that are not judged included. */
  readonly live: Readonly<Record<string, number>>;
};

export type HealthVerdict = {
  readonly workerId: string;
  readonly state: HealthState;
  /** Of a suspension. */
  readonly forMs?: number;
  readonly spells: number;
  readonly reason: string;
};

/** `heldBack`: would be suspended, were they not the last of their pool. */
export type HealthDecision = { readonly verdicts: readonly HealthVerdict[]; readonly heldBack: readonly string[] };

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** What the facts are read by. */
export const evidenceRules: { readonly windowMs: number; readonly mostAttempts: number; readonly blamed: readonly ErrorClass[] } = {
  windowMs: hourMs,
  mostAttempts: 20,
  blamed: ["worker", "engine", "unexplained"],
};

/** So many count against it, and so large a share of what it ended. */
const leastCounts = 3;
const leastShare = 0.25;
const firstMs = minuteMs;
const mostMs = hourMs;
const provingSuccesses = 2;
const forgetMs = 6 * hourMs;

/** How many of a worker's failures count against it: tasks proven good elsewhere, and tenants of the others where there are several. */
export function countAgainst(ended: readonly EndedAttempt[]): number {
  const blamed = ended.filter(({ isBlamed }) => isBlamed);
  const proven = new Set(blamed.filter(({ succeededElsewhere }) => succeededElsewhere).map(({ taskId }) => taskId));
  const open = blamed.filter(({ succeededElsewhere, failedElsewhere }) => !succeededElsewhere && !failedElsewhere);
  const tenants = new Set(open.map(({ tenant }) => tenant)).size;
  return proven.size + (tenants > 1 ? tenants : 0);
}

/** What changes; the facts say all that matters, so the same facts give the same verdicts. */
export function decideHealth({ workers, live }: HealthFacts): HealthDecision {
  const returning = workers.flatMap(returnOf);
  const pools = [...new Set(workers.map(({ pool }) => pool))];
  const decided = pools.map((pool) =>
    decidePool(
      workers.filter((worker) => worker.pool === pool && !isIn(returning, worker)),
      live[pool] ?? 0,
    ),
  );
  return {
    verdicts: [...returning, ...decided.flatMap(({ verdicts }) => verdicts)],
    heldBack: decided.flatMap(({ heldBack }) => heldBack),
  };
}

function isIn(verdicts: readonly HealthVerdict[], { workerId }: JudgedWorker): boolean {
  return verdicts.some((verdict) => verdict.workerId === workerId);
}

/** What comes with time, with a success, or with another release. */
function returnOf({ workerId, state, spells, isRenewed, elapsedMs, leftMs, ended }: JudgedWorker): readonly HealthVerdict[] {
  if (isRenewed) return [{ workerId, state: "healthy", spells: 0, reason: "another release or profile" }];
  switch (state) {
    case "suspended":
      return leftMs > 0 ? [] : [{ workerId, state: "probation", spells, reason: "the suspension is over" }];
    case "probation": {
      const successes = ended.filter(({ isSuccess }) => isSuccess).length;
      const hasFailed = countOnProbation(ended) > 0;
      return successes < provingSuccesses || hasFailed
        ? []
        : [{ workerId, state: "healthy", spells, reason: `${successes} tasks succeeded` }];
    }
    case "healthy":
      return spells > 0 && elapsedMs >= forgetMs ? [{ workerId, state: "healthy", spells: 0, reason: "healthy for hours" }] : [];
  }
}

/** Who must prove itself is given tasks that have failed nowhere yet: one failure counts. */
function countOnProbation(ended: readonly EndedAttempt[]): number {
  return ended.filter(({ isBlamed, failedElsewhere, succeededElsewhere }) => isBlamed && (succeededElsewhere || !failedElsewhere)).length;
}

/** How much counts against a worker that gets work; 0: not enough. */
function guiltOf({ state, ended }: JudgedWorker): number {
  if (state === "suspended") return 0;
  if (state === "probation") return countOnProbation(ended);
  const counts = countAgainst(ended);
  return counts >= leastCounts && counts >= leastShare * ended.length ? counts : 0;
}

/** Those of a pool that are suspended, the guiltiest first, or let go because too few are left. */
function decidePool(workers: readonly JudgedWorker[], live: number): HealthDecision {
  const suspended = workers
    .filter(({ state, isLive }) => state === "suspended" && isLive)
    .sort((left, right) => left.leftMs - right.leftMs);
  const free = Math.floor(live / 2) - suspended.length;
  const released = suspended.slice(0, Math.max(0, -free)).map(({ workerId, spells }): HealthVerdict => ({
    workerId,
    state: "probation",
    spells,
    reason: "too few other workers of the pool are left",
  }));
  const guilty = workers.filter((worker) => guiltOf(worker) > 0).sort((left, right) => guiltOf(right) - guiltOf(left));
  const taken = guilty.filter(({ isLive }) => isLive).slice(0, Math.max(0, free));
  const isTaken = (worker: JudgedWorker): boolean => !worker.isLive || taken.includes(worker);
  return {
    verdicts: [...released, ...guilty.filter(isTaken).map(suspend)],
    heldBack: guilty.filter((worker) => !isTaken(worker)).map(({ workerId }) => workerId),
  };
}

function suspend(worker: JudgedWorker): HealthVerdict {
  const { workerId, state, spells, ended } = worker;
  const tasks = new Set(ended.filter(({ isBlamed }) => isBlamed).map(({ taskId }) => taskId)).size;
  const forMs = Math.min(mostMs, firstMs * 2 ** Math.min(spells, 16));
  const reason = `${tasks} of its last ${ended.length} attempts failed${state === "probation" ? " on probation" : ""}`;
  return { workerId, state: "suspended", forMs, spells: spells + 1, reason };
}
