/**
 * The wire's enums as words for people, the same in the CLI and on the pages; and which states of a job are its last.
 *
 * The enums are open: a number that this release does not know, and zero, are "unknown".
 */
import { BudgetAction, BudgetLevel, BudgetPeriod, BudgetScope } from "../gen/proto/vapfarm/v1/books.ts";
import { DeadlineStanding, JobClass, JobState, Reuse, TaskState, WorkerState } from "../gen/proto/vapfarm/v1/farm.ts";
import { ConstraintKind, HealthState, HoldScope, UsageKey } from "../gen/proto/vapfarm/v1/operator.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../gen/proto/vapfarm/v1/stage.ts";

type EnumTable = Readonly<Record<string, number>>;

/** `JOB_STATE_QUEUED` of the table → "queued"; what the table does not know → "unknown". */
export function wordsOf(table: EnumTable, prefix: string): (value: number) => string {
  const words = new Map(
    Object.entries(table).map(([name, value]) => [value, name.slice(prefix.length).toLowerCase().replaceAll("_", " ")]),
  );
  words.set(0, "unknown");
  words.set(-1, "unknown");
  return (value) => words.get(value) ?? "unknown";
}

/** A job's or a render's state in a word. */
export const jobStateWord = wordsOf(JobState, "JOB_STATE_");
/** A task's state in a word. */
export const taskStateWord = wordsOf(TaskState, "TASK_STATE_");
/** How a job stands to its deadline, e.g. "at risk"; "unknown" of one that has none. */
export const deadlineWord = wordsOf(DeadlineStanding, "DEADLINE_STANDING_");
/** A worker's state in a word. */
export const workerStateWord = wordsOf(WorkerState, "WORKER_STATE_");
/** How a worker is judged, in a word. */
export const healthStateWord = wordsOf(HealthState, "HEALTH_STATE_");
/** A job's class in a word. */
export const jobClassWord = wordsOf(JobClass, "JOB_CLASS_");
/** What a job may reuse, in a word. */
export const reuseWord = wordsOf(Reuse, "REUSE_");
/** What is held, in a word. */
export const holdScopeWord = wordsOf(HoldScope, "HOLD_SCOPE_");
/** What usage is added up by, in a word. */
export const usageKeyWord = wordsOf(UsageKey, "USAGE_KEY_");
/** Whose spending a budget limits, in a word. */
export const budgetScopeWord = wordsOf(BudgetScope, "BUDGET_SCOPE_");
/** Over what time a budget counts, in a word. */
export const budgetPeriodWord = wordsOf(BudgetPeriod, "BUDGET_PERIOD_");
/** What a budget does, in a word. */
export const budgetActionWord = wordsOf(BudgetAction, "BUDGET_ACTION_");
/** Where a budget stands, in a word. */
export const budgetLevelWord = wordsOf(BudgetLevel, "BUDGET_LEVEL_");
/** Why a task waits, e.g. "workers busy". */
export const constraintWord = wordsOf(ConstraintKind, "CONSTRAINT_KIND_");
/** A scheduler's name. */
export const schedulerWord = wordsOf(SchedulerKind, "SCHEDULER_KIND_");
/** How frames of a reference are chosen, in a word. */
export const frameSelectionWord = wordsOf(FrameSelection, "FRAME_SELECTION_");
/** The name of a kind of output. */
export const outputWord = wordsOf(OutputKind, "OUTPUT_KIND_");

/** Whether nothing more will happen to a job or render in this state, unless it is retried. */
export function hasEnded(state: JobState): boolean {
  return state === JobState.JOB_STATE_SUCCEEDED || state === JobState.JOB_STATE_FAILED || state === JobState.JOB_STATE_CANCELLED;
}
