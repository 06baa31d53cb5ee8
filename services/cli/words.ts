/**
 * The wire's enums as words for people and as choices of options.
 */
import { Metric, RunReuse } from "../gen/proto/vapfarm/v1/bench.ts";
import { BudgetAction, BudgetPeriod, BudgetScope } from "../gen/proto/vapfarm/v1/books.ts";
import { JobClass, JobState, WorkerState } from "../gen/proto/vapfarm/v1/farm.ts";
import { HoldScope, UsageKey } from "../gen/proto/vapfarm/v1/operator.ts";
import { SchedulerKind } from "../gen/proto/vapfarm/v1/stage.ts";
import { invalidOption } from "./ages.ts";
import type { Format } from "./colour.ts";
import type { Cell } from "./table.ts";

export { budgetActionWord, budgetLevelWord, budgetPeriodWord, budgetScopeWord } from "../platform/words.ts";
export {
  constraintWord,
  healthStateWord,
  deadlineWord,
  holdScopeWord,
  jobClassWord,
  jobStateWord,
  reuseWord,
  taskStateWord,
  workerStateWord,
} from "../platform/words.ts";

type Enum = Readonly<Record<string, number>>;

function choicesOf(values: Enum, prefix: string): readonly string[] {
  return Object.entries(values)
    .filter(([, value]) => value > 0)
    .map(([name]) => name.replace(prefix, "").toLowerCase());
}

function valueOf<V extends number>(
  values: Readonly<Record<string, V>>,
  prefix: string,
  { option, word }: { readonly option: string; readonly word: string },
): V {
  const value = values[`${prefix}${word.toUpperCase()}`];
  if (value !== undefined && value > 0) return value;
  throw invalidOption(option, `"${word}" is unknown`, `choose of ${choicesOf(values, prefix).join(", ")}`);
}

/** The states that a comma-separated option names. */
export const jobStatesOf = (option: string, text: string | undefined): JobState[] =>
  listOf(text).map((word) => valueOf(JobState, "JOB_STATE_", { option, word }));
/** The same of workers. */
export const workerStatesOf = (option: string, text: string | undefined): WorkerState[] =>
  listOf(text).map((word) => valueOf(WorkerState, "WORKER_STATE_", { option, word }));
/** The keys that a comma-separated option names, in its order. */
export const usageKeysOf = (option: string, text: string | undefined): UsageKey[] =>
  listOf(text).map((word) => valueOf(UsageKey, "USAGE_KEY_", { option, word }));
/** The metrics that a comma-separated option names; one that is given and names none is refused: all would be measured. */
export const metricsOf = (option: string, text: string | undefined): Metric[] => {
  const words = listOf(text);
  if (text !== undefined && words.length === 0) throw invalidOption(option, "names no metric", "name some, none, or leave it out for all");
  return words.map((word) => valueOf(Metric, "METRIC_", { option, word }));
};
/** What an option lets a run take from other jobs. */
export const runReuseOf = (option: string, word: string): RunReuse => valueOf(RunReuse, "RUN_REUSE_", { option, word });
/** Unspecified when the option is absent. */
export const schedulerOf = (option: string, word: string | undefined): SchedulerKind =>
  word === undefined ? SchedulerKind.SCHEDULER_KIND_UNSPECIFIED : valueOf(SchedulerKind, "SCHEDULER_KIND_", { option, word });
/** The scope that an operand names. */
export const holdScopeOf = (option: string, word: string): HoldScope => valueOf(HoldScope, "HOLD_SCOPE_", { option, word });
/** Whose budget an operand names. */
export const budgetScopeOf = (option: string, word: string): BudgetScope => valueOf(BudgetScope, "BUDGET_SCOPE_", { option, word });
/** Over what time an option lets a budget count. */
export const budgetPeriodOf = (option: string, word: string): BudgetPeriod => valueOf(BudgetPeriod, "BUDGET_PERIOD_", { option, word });
/** What an option lets a budget do. */
export const budgetActionOf = (option: string, word: string): BudgetAction => valueOf(BudgetAction, "BUDGET_ACTION_", { option, word });
/** Unspecified when the option is absent. */
export const jobClassOf = (option: string, word: string | undefined): JobClass =>
  word === undefined ? JobClass.JOB_CLASS_UNSPECIFIED : valueOf(JobClass, "JOB_CLASS_", { option, word });

/** Parts of a comma-separated option. */
export function listOf(text: string | undefined): readonly string[] {
  const parts = (text ?? "").split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "");
}

const formats: Readonly<Record<string, Format>> = {
  succeeded: "green",
  failed: "red",
  lost: "red",
  reached: "red",
  warned: "yellow",
  running: "cyan",
  busy: "cyan",
  draining: "yellow",
  suspended: "red",
  probation: "yellow",
  delayed: "yellow",
  cancelled: "dim",
  stopped: "dim",
};

/** A state as a cell, painted by what it means. */
export function stateCell(word: string): Cell {
  const format = formats[word];
  return format === undefined ? word : { text: word, format };
}
