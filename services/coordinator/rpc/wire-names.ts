/**
 * Enums of the wire ↔ the names that store and domain use: one table for each, read both ways.
 *
 * The wire's enums are open: a number that no table has is `unrecognized`, zero is `unspecified`.
 */
import { unknownValue, type Violations } from "../../domain/field-rules.ts";
import type { Choice } from "../../domain/render-request.ts";
import { JobClass, JobState, Reuse, TaskState, WorkerState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { ConstraintKind, HoldScope, UsageKey } from "../../gen/proto/vapfarm/v1/operator.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { ConstraintKind as ConstraintName } from "../../domain/explain.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type * as store from "../store/store-contract.ts";

/** Name → number on the wire; zero is no name's. */
export type WireNames<T extends string, N extends number = number> = Readonly<Record<T, N>>;

/** Of jobs and renders. */
export const jobStates = {
  queued: JobState.JOB_STATE_QUEUED,
  running: JobState.JOB_STATE_RUNNING,
  succeeded: JobState.JOB_STATE_SUCCEEDED,
  failed: JobState.JOB_STATE_FAILED,
  cancelled: JobState.JOB_STATE_CANCELLED,
} as const satisfies WireNames<store.JobState, JobState>;

/** Of tasks. */
export const taskStates = {
  blocked: TaskState.TASK_STATE_BLOCKED,
  ready: TaskState.TASK_STATE_READY,
  running: TaskState.TASK_STATE_RUNNING,
  delayed: TaskState.TASK_STATE_DELAYED,
  succeeded: TaskState.TASK_STATE_SUCCEEDED,
  failed: TaskState.TASK_STATE_FAILED,
  cancelled: TaskState.TASK_STATE_CANCELLED,
} as const satisfies WireNames<store.TaskState, TaskState>;

/** Of workers. */
export const workerStates = {
  idle: WorkerState.WORKER_STATE_IDLE,
  busy: WorkerState.WORKER_STATE_BUSY,
  draining: WorkerState.WORKER_STATE_DRAINING,
  lost: WorkerState.WORKER_STATE_LOST,
  stopped: WorkerState.WORKER_STATE_STOPPED,
} as const satisfies WireNames<store.WorkerState, WorkerState>;

/** What a job is for. */
export const jobClasses = {
  production: JobClass.JOB_CLASS_PRODUCTION,
  benchmark: JobClass.JOB_CLASS_BENCHMARK,
} as const satisfies WireNames<store.JobClass, JobClass>;

/** Which results may serve a job. */
export const reuses = {
  all: Reuse.REUSE_ALL,
  inputs: Reuse.REUSE_INPUTS,
  none: Reuse.REUSE_NONE,
} as const satisfies WireNames<store.Reuse, Reuse>;

/** Samplers of denoise. */
export const schedulers = {
  ddim: SchedulerKind.SCHEDULER_KIND_DDIM,
  dpm: SchedulerKind.SCHEDULER_KIND_DPM,
  unipc: SchedulerKind.SCHEDULER_KIND_UNIPC,
  euler: SchedulerKind.SCHEDULER_KIND_EULER,
} as const satisfies WireNames<RenderSpec["scheduler"], SchedulerKind>;

/** How frames of a reference are chosen. */
export const frameSelections = {
  evenly: FrameSelection.FRAME_SELECTION_EVENLY,
  first: FrameSelection.FRAME_SELECTION_FIRST,
} as const satisfies WireNames<RenderSpec["frameSelection"], FrameSelection>;

/** What a render leaves. */
export const outputKinds = {
  mp4: OutputKind.OUTPUT_KIND_MP4,
  latents: OutputKind.OUTPUT_KIND_LATENTS,
  frames: OutputKind.OUTPUT_KIND_FRAMES,
} as const satisfies WireNames<RenderSpec["outputs"][number], OutputKind>;

/** What can be held. */
export const holdScopes = {
  farm: HoldScope.HOLD_SCOPE_FARM,
  pool: HoldScope.HOLD_SCOPE_POOL,
  tenant: HoldScope.HOLD_SCOPE_TENANT,
} as const satisfies WireNames<store.HoldScope, HoldScope>;

/** What usage is added up by. */
export const usageKeys = {
  tenant: UsageKey.USAGE_KEY_TENANT,
  stage: UsageKey.USAGE_KEY_STAGE,
  worker: UsageKey.USAGE_KEY_WORKER,
  outcome: UsageKey.USAGE_KEY_OUTCOME,
  day: UsageKey.USAGE_KEY_DAY,
} as const satisfies WireNames<store.UsageKey, UsageKey>;

/** Why a task waits. */
export const constraintKinds = {
  inputs_missing: ConstraintKind.CONSTRAINT_KIND_INPUTS_MISSING,
  held: ConstraintKind.CONSTRAINT_KIND_HELD,
  back_off: ConstraintKind.CONSTRAINT_KIND_BACK_OFF,
  no_worker: ConstraintKind.CONSTRAINT_KIND_NO_WORKER,
  engine_missing: ConstraintKind.CONSTRAINT_KIND_ENGINE_MISSING,
  cordoned: ConstraintKind.CONSTRAINT_KIND_CORDONED,
  workers_busy: ConstraintKind.CONSTRAINT_KIND_WORKERS_BUSY,
  behind_others: ConstraintKind.CONSTRAINT_KIND_BEHIND_OTHERS,
  avoided: ConstraintKind.CONSTRAINT_KIND_AVOIDED,
  about_to_start: ConstraintKind.CONSTRAINT_KIND_ABOUT_TO_START,
  running: ConstraintKind.CONSTRAINT_KIND_RUNNING,
  window: ConstraintKind.CONSTRAINT_KIND_WINDOW,
} as const satisfies WireNames<ConstraintName, ConstraintKind>;

/** What a number of the wire means. */
export function choiceOf<T extends string>(names: WireNames<T>, value: number): Choice<T> {
  return value === 0 ? "unspecified" : (nameOf(names, value) ?? "unrecognized");
}

/** The names of numbers that must all be known, and what is wrong with the others. */
export function namesOf<T extends string>(
  names: WireNames<T>,
  field: string,
  values: readonly number[],
): { readonly named: readonly T[]; readonly violations: Violations } {
  const read = values.map((value) => nameOf(names, value));
  return {
    named: read.filter((name) => name !== undefined),
    violations: read.flatMap((name, index) => (name === undefined ? [unknownValue(`${field}[${index}]`)] : [])),
  };
}

function nameOf<T extends string>(names: WireNames<T>, value: number): T | undefined {
  return (Object.keys(names) as T[]).find((name) => names[name] === value);
}
