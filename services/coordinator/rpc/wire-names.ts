/**
 * Enums of the wire ↔ the names that store and domain use: one table for each, read both ways.
 *
 * The wire's enums are open: a number that no table has is `unrecognized`, zero is `unspecified`.
 */
import { unknownValue, type Violations } from "../../domain/field-rules.ts";
import type { Choice } from "../../domain/render-request.ts";
import { BudgetAction, BudgetLevel, BudgetPeriod, BudgetScope, BudgetUnit } from "../../gen/proto/vapfarm/v1/books.ts";
import { Aggregator, Metric, RunReuse, ScoreStatus } from "../../gen/proto/vapfarm/v1/bench.ts";
import { DeadlineStanding, JobClass, JobState, Reuse, TaskState, WorkerState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { ConstraintKind, HealthState, HoldScope, UsageKey } from "../../gen/proto/vapfarm/v1/operator.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../../gen/proto/vapfarm/v1/stage.ts";
import type {
  BudgetAction as BudgetActionName,
  BudgetLevel as BudgetLevelName,
  BudgetPeriod as BudgetPeriodName,
  BudgetUnit as BudgetUnitName,
} from "../../domain/budget.ts";
import type { ConstraintKind as ConstraintName } from "../../domain/explain.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { MetricName } from "../../domain/vbench/metric.ts";
import type { HealthState as HealthName } from "../../domain/worker-health.ts";
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

/** Of jobs with a deadline. */
export const deadlineStandings = {
  in_time: DeadlineStanding.DEADLINE_STANDING_IN_TIME,
  at_risk: DeadlineStanding.DEADLINE_STANDING_AT_RISK,
  missed: DeadlineStanding.DEADLINE_STANDING_MISSED,
} as const satisfies WireNames<store.DeadlineStanding, DeadlineStanding>;

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

/** How workers are judged. */
export const healthStates = {
  healthy: HealthState.HEALTH_STATE_HEALTHY,
  suspended: HealthState.HEALTH_STATE_SUSPENDED,
  probation: HealthState.HEALTH_STATE_PROBATION,
} as const satisfies WireNames<HealthName, HealthState>;

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

/** What a run may take from other jobs. */
export const runReuses = {
  inputs: RunReuse.RUN_REUSE_INPUTS,
  all: RunReuse.RUN_REUSE_ALL,
  none: RunReuse.RUN_REUSE_NONE,
} as const satisfies WireNames<store.Reuse, RunReuse>;

/** Whether a value is there. */
export const scoreStatuses = {
  ok: ScoreStatus.SCORE_STATUS_OK,
  nan: ScoreStatus.SCORE_STATUS_NAN,
  skipped: ScoreStatus.SCORE_STATUS_SKIPPED,
  error: ScoreStatus.SCORE_STATUS_ERROR,
  pending: ScoreStatus.SCORE_STATUS_PENDING,
} as const satisfies WireNames<store.ScoreValue["status"] | "error" | "pending", ScoreStatus>;

/** How values of clips become one. */
export const aggregators = {
  video_mean: Aggregator.AGGREGATOR_VIDEO_MEAN,
  frame_weighted: Aggregator.AGGREGATOR_FRAME_WEIGHTED,
} as const satisfies WireNames<store.StoredSetScore["aggregator"], Aggregator>;

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
  panels: OutputKind.OUTPUT_KIND_PANELS,
} as const satisfies WireNames<RenderSpec["outputs"][number], OutputKind>;

/** What is measured of a clip. */
export const metrics = {
  temporal_flickering: Metric.METRIC_TEMPORAL_FLICKERING,
  subject_consistency: Metric.METRIC_SUBJECT_CONSISTENCY,
  background_consistency: Metric.METRIC_BACKGROUND_CONSISTENCY,
  motion_smoothness: Metric.METRIC_MOTION_SMOOTHNESS,
  dynamic_degree: Metric.METRIC_DYNAMIC_DEGREE,
  aesthetic_quality: Metric.METRIC_AESTHETIC_QUALITY,
  imaging_quality: Metric.METRIC_IMAGING_QUALITY,
  overall_consistency: Metric.METRIC_OVERALL_CONSISTENCY,
  i2v_subject: Metric.METRIC_I2V_SUBJECT,
  clip_score: Metric.METRIC_CLIP_SCORE,
} as const satisfies WireNames<MetricName, Metric>;

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
  job: UsageKey.USAGE_KEY_JOB,
  pool: UsageKey.USAGE_KEY_POOL,
} as const satisfies WireNames<store.UsageKey, UsageKey>;

/** In what a budget is counted. */
export const budgetUnits = {
  money: BudgetUnit.BUDGET_UNIT_MONEY,
  gpu_time: BudgetUnit.BUDGET_UNIT_GPU_TIME,
} as const satisfies WireNames<BudgetUnitName, BudgetUnit>;

/** Over what time a budget counts. */
export const budgetPeriods = {
  total: BudgetPeriod.BUDGET_PERIOD_TOTAL,
  month: BudgetPeriod.BUDGET_PERIOD_MONTH,
} as const satisfies WireNames<BudgetPeriodName, BudgetPeriod>;

/** What a budget does when nothing is left. */
export const budgetActions = {
  stop: BudgetAction.BUDGET_ACTION_STOP,
  cancel: BudgetAction.BUDGET_ACTION_CANCEL,
} as const satisfies WireNames<BudgetActionName, BudgetAction>;

/** Where a budget stands. */
export const budgetLevels = {
  open: BudgetLevel.BUDGET_LEVEL_OPEN,
  warned: BudgetLevel.BUDGET_LEVEL_WARNED,
  reached: BudgetLevel.BUDGET_LEVEL_REACHED,
} as const satisfies WireNames<BudgetLevelName, BudgetLevel>;

/** Whose spending a budget limits. */
export const budgetScopes = {
  tenant: BudgetScope.BUDGET_SCOPE_TENANT,
  job: BudgetScope.BUDGET_SCOPE_JOB,
} as const satisfies WireNames<"tenant" | "job", BudgetScope>;

/** Why a task waits. */
export const constraintKinds = {
  inputs_missing: ConstraintKind.CONSTRAINT_KIND_INPUTS_MISSING,
  held: ConstraintKind.CONSTRAINT_KIND_HELD,
  back_off: ConstraintKind.CONSTRAINT_KIND_BACK_OFF,
  pool_gone: ConstraintKind.CONSTRAINT_KIND_POOL_GONE,
  no_worker: ConstraintKind.CONSTRAINT_KIND_NO_WORKER,
  engine_missing: ConstraintKind.CONSTRAINT_KIND_ENGINE_MISSING,
  memory_missing: ConstraintKind.CONSTRAINT_KIND_MEMORY_MISSING,
  tenant_limit: ConstraintKind.CONSTRAINT_KIND_TENANT_LIMIT,
  cordoned: ConstraintKind.CONSTRAINT_KIND_CORDONED,
  suspended: ConstraintKind.CONSTRAINT_KIND_SUSPENDED,
  quarantined: ConstraintKind.CONSTRAINT_KIND_QUARANTINED,
  workers_busy: ConstraintKind.CONSTRAINT_KIND_WORKERS_BUSY,
  behind_others: ConstraintKind.CONSTRAINT_KIND_BEHIND_OTHERS,
  avoided: ConstraintKind.CONSTRAINT_KIND_AVOIDED,
  about_to_start: ConstraintKind.CONSTRAINT_KIND_ABOUT_TO_START,
  running: ConstraintKind.CONSTRAINT_KIND_RUNNING,
  over_budget: ConstraintKind.CONSTRAINT_KIND_OVER_BUDGET,
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
