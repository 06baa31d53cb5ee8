/**
 * What is known when a task is explained, from one snapshot, and what is said of it.
 */
import type { TaskState } from "./task-state.ts";
import type { HealthState } from "./worker-health.ts";

/** Ready tasks that are claimed before another of their pool and shape. */
export type Ahead = {
  /** Of a higher class or priority. */
  readonly better: number;
  /** Of tenants that had less device time for their weight. */
  readonly fairer: number;
  /** Of its own tenant: due, nearer their render's end, or older. */
  readonly own: number;
};

/** A task as it is explained; fields beyond its state matter only in that state. */
export type OpenTask = {
  readonly taskId: number;
  readonly stage: string;
  readonly label: string;
  readonly renderPosition: number;
  readonly tenant: string;
  readonly pool: string;
  readonly shape: string;
  readonly model: string;
  readonly state: Extract<TaskState, "blocked" | "ready" | "running" | "delayed">;
  /** Blocked: what it waits for. */
  readonly missing: readonly { readonly taskId: number; readonly stage: string; readonly state: TaskState }[];
  /** Delayed: until its back-off ends, and the failures so far by error class. */
  readonly delayMs: number;
  readonly failures: Readonly<Record<string, number>>;
  /** Ready: how many ready tasks of its pool and shape are claimed before it, by why. */
  readonly ahead: Ahead;
  /** Device memory that it needs at least, in bytes; 0: not known. */
  readonly memoryBytes: number;
  /** Workers that are avoided after bad ends. */
  readonly avoid: readonly string[];
  /** What its job's budget says, when all jobs that want it are stopped. */
  readonly overBudget?: string | undefined;
  /** Running: by whom. */
  readonly workerName: string | undefined;
  /** Running: the step of its last checkpoint. */
  readonly keptStep: number | undefined;
  /** Running: it was told to make way for a task that comes first. */
  readonly makesWay?: boolean;
  /** Ready: the worker whose slot is kept for it. */
  readonly slotOn?: string | undefined;
};

export type ExplainWorker = {
  readonly workerId: string;
  readonly name: string;
  readonly pool: string;
  /** What it holds, in quarantine or not. */
  readonly shapes: readonly string[];
  /** Of its device, in bytes; 0: not known. */
  readonly memoryBytes: number;
  /** Of these, what failed there and is shut for a while. */
  readonly quarantined: readonly string[];
  readonly health: HealthState;
  /** With a lease in force. */
  readonly isLive: boolean;
  readonly isCordoned: boolean;
  readonly isBusy: boolean;
};

export type ExplainHold = {
  readonly scope: "farm" | "pool" | "tenant";
  readonly name: string;
  readonly reason: string;
  /** Who placed it: a person, unless it says otherwise. */
  readonly origin?: "operator" | "budget";
};

/** Of a tenant that may only have so many attempts at once. */
export type ExplainLimit = { readonly tenant: string; readonly running: number; readonly maxRunning: number };

/** Renders of a job that wait for the window of a pool. */
export type WaitingPool = {
  readonly pool: string;
  readonly tenant: string;
  readonly renders: number;
  /** What the job's budget says, when it is stopped. */
  readonly overBudget?: string | undefined;
  /** Renders of any job that take a place in the pool's window, and how many may. */
  readonly open: number;
  readonly window: number;
};

export type ExplainFacts = {
  readonly jobState: "queued" | "running" | "succeeded" | "failed" | "cancelled";
  /** Tasks shown, and how many there are. */
  readonly tasks: readonly OpenTask[];
  readonly openTasks: number;
  readonly workers: readonly ExplainWorker[];
  readonly holds: readonly ExplainHold[];
  readonly limits: readonly ExplainLimit[];
  /** Pools that the farm has. */
  readonly pools: readonly string[];
  /** Of a job whose deadline is at risk, or was missed. */
  readonly deadline?: "at_risk" | "missed" | undefined;
  /** Renders that have no tasks yet, by pool; absent: none. */
  readonly waiting?: readonly WaitingPool[];
  /** Pools whose workers come and go by what the farm decides; absent: none. */
  readonly scaled?: readonly ScaledPoolFacts[];
};

/** What was decided of a pool last. */
export type ScaledPoolFacts = {
  readonly pool: string;
  /** Workers that it should have. */
  readonly desired: number;
  /** How long one takes to serve. */
  readonly loadMs: number;
  readonly reason: string;
};

export type ConstraintKind =
  | "inputs_missing"
  | "held"
  | "back_off"
  | "pool_gone"
  | "no_worker"
  | "engine_missing"
  | "memory_missing"
  | "tenant_limit"
  | "cordoned"
  | "suspended"
  | "quarantined"
  | "workers_busy"
  | "behind_others"
  | "avoided"
  | "about_to_start"
  | "window"
  | "running"
  | "over_budget";

export type Constraint = { readonly kind: ConstraintKind; readonly message: string; readonly remedy: string };
