/**
 * What is known when a task is explained, from one snapshot, and what is said of it.
 */
import type { WaitingPool } from "./explain-window.ts";
import type { TaskState } from "./task-state.ts";

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
  /** Ready: how many ready tasks of its pool and shape are claimed before it. */
  readonly ahead: number;
  /** Workers that are avoided after bad ends. */
  readonly avoid: readonly string[];
  /** Running: by whom. */
  readonly workerName: string | undefined;
  /** Running: the step of its last checkpoint. */
  readonly keptStep: number | undefined;
};

export type ExplainWorker = {
  readonly workerId: string;
  readonly name: string;
  readonly pool: string;
  readonly shapes: readonly string[];
  /** With a lease in force. */
  readonly isLive: boolean;
  readonly isCordoned: boolean;
  readonly isBusy: boolean;
};

export type ExplainHold = { readonly scope: "farm" | "pool" | "tenant"; readonly name: string; readonly reason: string };

export type ExplainFacts = {
  readonly jobState: "queued" | "running" | "succeeded" | "failed" | "cancelled";
  /** Tasks shown, and how many there are. */
  readonly tasks: readonly OpenTask[];
  readonly openTasks: number;
  readonly workers: readonly ExplainWorker[];
  readonly holds: readonly ExplainHold[];
  /** Renders that have no tasks yet, by pool; absent: none. */
  readonly waiting?: readonly WaitingPool[];
};

export type ConstraintKind =
  | "inputs_missing"
  | "held"
  | "back_off"
  | "no_worker"
  | "engine_missing"
  | "cordoned"
  | "workers_busy"
  | "behind_others"
  | "avoided"
  | "about_to_start"
  | "window"
  | "running";

export type Constraint = { readonly kind: ConstraintKind; readonly message: string; readonly remedy: string };
