/**
 * A reference model of the queue: what jobs, tasks, attempts and sessions are, in memory and one thing after another.
 *
 * It says what the store must be after each operation, and knows nothing of how: no locks, no effects, no indexes. Its rules are the domain's
 * wherever the domain has one (moves, budgets, states of renders and jobs, reaping). Invariant: a state changes by `moveTask` and
 * `moveAttempt` only, so that a move which the table lacks ends the run.
 */
import { AssertionError } from "node:assert";
import type { ErrorClass } from "../../../services/domain/errors.ts";
import { isOpenRender, type RenderState } from "../../../services/domain/render-state.ts";
import {
  type AttemptEvent,
  type AttemptPlace,
  isConsequence,
  moveAttempt,
  moveTask,
  storedAttemptState,
  storedTaskState,
  type TaskEvent,
  type TaskPlace,
} from "../../../services/domain/task-state.ts";
import type { JobState } from "../../../services/domain/job-state.ts";
import type { PreemptionReason } from "../../../services/domain/preemption.ts";
import type { BeatAsk, NextOutcome, PreemptionRound, ReportAnswer } from "../../../services/coordinator/store/store-contract.ts";

export type ModelOutput = { readonly name: string; isStored: boolean; isCondemned: boolean };

/** What a task takes: an output of another. */
export type ModelInput = { readonly name: string; readonly producer: ModelTask };

/** Where an attempt got to, and when it told of it. */
export type ModelCheckpoint = { readonly step: number; readonly attempt: ModelAttempt; readonly keptAt: number };

export type ModelTask = {
  readonly key: string;
  readonly generation: number;
  readonly tenant: string;
  readonly shape: string;
  /** The store's, once it was read. */
  id: number;
  place: TaskPlace;
  isRetired: boolean;
  inputs: readonly ModelInput[];
  readonly attempts: ModelAttempt[];
  current: ModelAttempt | undefined;
  failures: Partial<Record<ErrorClass, number>>;
  failureCode: string | undefined;
  outputs: ModelOutput[];
  readonly uses: Set<ModelUse>;
  endedAt: number;
  checkpoint: ModelCheckpoint | undefined;
  /** Workers that should not get it: of the time when it became ready. */
  avoid: readonly string[];
  /** Ready for long enough to be claimed ahead, and for a run to make way. */
  isRipe: boolean;
  /** The open preemption that keeps a slot for it. */
  slot: ModelPreemption | undefined;
};

export type ModelAttempt = {
  readonly id: string;
  readonly task: ModelTask;
  readonly number: number;
  readonly session: ModelSession;
  place: AttemptPlace;
  /** Its worker said so, or was given it to begin at once. */
  hasBegun: boolean;
  chargedMs: number;
  readonly startedAt: number;
  disposition: "committed" | "superseded" | undefined;
  errorClass: ErrorClass | undefined;
  /** Given back by a report, while nobody had ordered it. */
  isUnordered: boolean;
  deviceMs: number;
  usage: { readonly disposition: string; readonly deviceMs: number } | undefined;
  /** Whether its session's beats leave it out, and whether they have for a lease. */
  naming: "named" | "unnamed" | "overdue";
};

/** An attempt that makes way for a ready task; open until it has an outcome. */
export type ModelPreemption = {
  readonly attempt: ModelAttempt;
  readonly beneficiary: ModelTask;
  readonly reason: PreemptionReason;
  hasMadeWay: boolean;
  outcome: PreemptionRound["closed"][number] | undefined;
  /** The slot has been kept for long enough. */
  isOverdue: boolean;
  isCounted: boolean;
};

export type ModelUse = {
  readonly task: ModelTask;
  readonly render: ModelRender;
  readonly position: number;
  readonly isAgain: boolean;
  readonly artifacts: readonly string[];
  isWanted: boolean;
};

export type ModelRender = {
  readonly job: ModelJob;
  readonly position: number;
  readonly uses: Set<ModelUse>;
  state: RenderState;
  failureCode: string | undefined;
};

export type ModelJob = {
  readonly id: string;
  readonly tenant: string;
  readonly isBenchmark: boolean;
  priority: number;
  state: JobState;
  readonly renders: ModelRender[];
  /** Of its events, those that tell of itself and its renders. */
  readonly told: string[];
};

export type ModelSession = {
  readonly id: string;
  readonly worker: string;
  isLive: boolean;
  endReason: "superseded" | "lapsed" | "stopped" | undefined;
  sequence: number;
  beatSequence: number;
  /** When its lease ran out; undefined while it has not. */
  lapsedAt: number | undefined;
  /** What its last beat said. */
  progress: BeatAsk["attempts"];
  /** The last next or report that was heard: what the store answered (undefined: none was asked), and the attempt that it gave. */
  answered:
    | { readonly kind: "next"; readonly outcome: NextOutcome | undefined; readonly claimed: string | undefined }
    | { readonly kind: "report"; readonly outcome: ReportAnswer | undefined }
    | undefined;
};

/** A worker as the farm knows it. */
export type ModelWorker = { readonly name: string; life: number; session: ModelSession; shapes: readonly string[] };

export type Model = {
  /** Counts what happens. */
  now: number;
  readonly tasks: ModelTask[];
  readonly jobs: ModelJob[];
  readonly attempts: Map<string, ModelAttempt>;
  readonly sessions: Map<string, ModelSession>;
  readonly workers: Map<string, ModelWorker>;
  /** `scope/name`. */
  readonly holds: Set<string>;
  readonly cordons: Map<string, { readonly isDrained: boolean }>;
  /** `worker/shape`: engines that failed on a worker. They stay shut until a success there, or until a play says that the time is over. */
  readonly quarantines: Set<string>;
  /** Workers with an engine that failed in this very call: they ask anew first, without it. */
  readonly justShut: Set<string>;
  readonly preemptions: ModelPreemption[];
  /** The levels under which attempts stopped, until the duty counts them. */
  readonly stops: PreemptionRound["stops"][number]["level"][];
};

export function createModel(): Model {
  return {
    now: 0,
    tasks: [],
    jobs: [],
    attempts: new Map(),
    sessions: new Map(),
    workers: new Map(),
    holds: new Set(),
    cordons: new Map(),
    quarantines: new Set(),
    justShut: new Set(),
    preemptions: [],
    stops: [],
  };
}

export const tick = (model: Model): number => (model.now += 1);

/** Ends the run: what should never be. */
export function wrong(message: string): never {
  throw new AssertionError({ message });
}

export const isWanted = (task: ModelTask): boolean => [...task.uses].some((use) => use.isWanted);
export const isOpenTask = ({ place }: ModelTask): boolean => ["blocked", "ready", "running", "unwanted", "delayed"].includes(place);
export const isRunning = ({ place }: ModelAttempt): boolean => storedAttemptState(place) === "running";
export const missingOf = (task: ModelTask): number => task.inputs.filter(({ producer }) => producer.place !== "succeeded").length;
export const openRenders = (job: ModelJob): ModelRender[] => job.renders.filter(({ state }) => isOpenRender(state));

export function move(task: ModelTask, event: TaskEvent): void {
  const made = moveTask(task.place, event);
  if (made.kind === "illegal") wrong(`task ${task.key}: ${event} is illegal in ${task.place}`);
  const wasReady = task.place === "ready";
  task.place = made.to;
  if (!isOpenTask(task)) task.checkpoint = undefined;
  if (wasReady && made.to !== "ready" && task.slot !== undefined) closeSlot(task, outcomeOf(task.slot));
}

/** Why a preemption ends when its beneficiary is not ready any more. */
function outcomeOf({ attempt, beneficiary }: ModelPreemption): ModelPreemption["outcome"] {
  if (beneficiary.current === undefined) return "unneeded";
  return beneficiary.current.session.worker === attempt.session.worker ? "given" : "elsewhere";
}

/** Ends the preemption that keeps a slot for the task. */
export function closeSlot(task: ModelTask, outcome: ModelPreemption["outcome"]): void {
  if (task.slot !== undefined) task.slot.outcome = outcome;
  task.slot = undefined;
}

/** Its worker says that it has begun what it was promised. */
export function beginAttempt(attempt: ModelAttempt): void {
  const made = moveAttempt(attempt.place, "begin");
  if (made.kind === "illegal") wrong(`attempt ${attempt.number} of ${attempt.task.key}: begins in ${attempt.place}`);
  Object.assign(attempt, { place: made.to, hasBegun: true } satisfies Partial<ModelAttempt>);
}

/** Ends an attempt, and says what comes of its task. */
export function end(attempt: ModelAttempt, event: AttemptEvent, consequence: TaskEvent): void {
  const made = moveAttempt(attempt.place, event);
  if (made.kind === "illegal") wrong(`attempt ${attempt.number} of ${attempt.task.key}: ${event} is illegal in ${attempt.place}`);
  if (!isConsequence(consequence, event))
    wrong(`attempt ${attempt.number} of ${attempt.task.key}: ${consequence} does not come of ${event}`);
  attempt.place = made.to;
  move(attempt.task, consequence);
  attempt.task.current = undefined;
}

/** What becomes of a task that nothing runs, or whose attempt ended: it has no users, waits for inputs, or is ready. */
export function nextPlace(task: ModelTask, otherwise: TaskEvent): TaskEvent {
  if (!isWanted(task)) return storedTaskState(task.place) === "running" ? "drop" : "lose_users";
  return missingOf(task) > 0 ? "lose_input" : otherwise;
}

export function addUse(use: ModelUse): void {
  use.task.uses.add(use);
  use.render.uses.add(use);
  if (use.isWanted) move(use.task, "attach");
}

export function removeUse(use: ModelUse): void {
  use.task.uses.delete(use);
  use.render.uses.delete(use);
}
