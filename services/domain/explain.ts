/**
 * Why a task does not run: every constraint that binds it, from one snapshot.
 *
 * Pure. It mirrors what a claim asks for (prisma/migrations, vf_claim): a rule that is added there is added here, and a test holds both
 * together. A task that still waits for something else is told of workers only what will not pass by itself: that there are none, that
 * none holds its engine, that all are cordoned.
 */
import { type Fleet, fleetOf, noneCanRun, whyNoneStarts } from "./explain-workers.ts";
import { holdsOf, limitsOf, overBudget } from "./explain-holds.ts";
import { explainWaiting } from "./explain-window.ts";
import type { Constraint, ConstraintKind, ExplainFacts, OpenTask } from "./explain-facts.ts";

export type * from "./explain-facts.ts";

/** What the task waits for; what nothing keeps from running has one constraint that says so. */
export function explainTask(task: OpenTask, facts: ExplainFacts): readonly Constraint[] {
  if (task.state === "running") {
    const kept = task.keptStep === undefined ? "" : `, its last checkpoint is of step ${task.keptStep}`;
    const leaves = task.makesWay === true ? ", and makes way for a task that comes first" : "";
    return [{ kind: "running", message: `runs on worker ${task.workerName ?? "unknown"}${kept}${leaves}`, remedy: "" }];
  }
  if (task.state === "ready" && task.slotOn !== undefined)
    return [{ kind: "about_to_start", message: `worker ${task.slotOn} makes way for it`, remedy: "" }];
  const fleet = fleetOf(task, facts.workers);
  const own = task.state === "blocked" ? [missingInputs(task)] : task.state === "delayed" ? [backOff(task)] : [];
  const binding = [
    ...own,
    ...holdsOf(task, facts.holds),
    ...overBudget(task),
    ...limitsOf(task, facts.limits),
    ...(own.length > 0 ? noneCanRun(task, fleet, facts) : whyNoneStarts(task, fleet, facts)),
  ];
  return binding.length > 0 ? binding : [aboutToStart(fleet)];
}

/** One line for people: what runs, and what the first of the others waits for. */
export function summarize(facts: ExplainFacts): string {
  const ended = endings[facts.jobState];
  if (ended !== undefined) return ended;
  const running = facts.tasks.filter(({ state }) => state === "running").length;
  const [waiting] = facts.tasks.filter(({ state }) => state !== "running");
  const parts = [...(running > 0 ? [`${running} ${running === 1 ? "task runs" : "tasks run"}`] : [])];
  const [first] = waiting === undefined || (running > 0 && waiting.state === "blocked") ? [] : explainTask(waiting, facts);
  if (first !== undefined) parts.push(`${running > 0 ? "the next " : ""}${openings[first.kind]}: ${first.message}`);
  if (facts.deadline !== undefined) parts.push(deadlines[facts.deadline]);
  for (const pool of facts.waiting ?? []) parts.push(explainWaiting(pool, facts).message);
  return parts.length > 0 ? parts.join("; ") : "no task of it is open";
}

const deadlines = { at_risk: "its deadline is at risk", missed: "its deadline is over" } as const;

const endings: Readonly<Record<ExplainFacts["jobState"], string | undefined>> = {
  queued: undefined,
  running: undefined,
  succeeded: "the job succeeded: nothing waits",
  failed: "the job failed: nothing waits",
  cancelled: "the job was cancelled: nothing waits",
};

const openings: Readonly<Record<ConstraintKind, string>> = {
  inputs_missing: "waits for inputs",
  held: "is held",
  back_off: "waits for its back-off",
  pool_gone: "waits for a pool",
  no_worker: "waits for a worker",
  engine_missing: "waits for a worker",
  memory_missing: "waits for a worker",
  tenant_limit: "waits for its tenant's other tasks",
  cordoned: "waits for a worker",
  suspended: "waits for a worker",
  quarantined: "waits for a worker",
  workers_busy: "waits for a worker",
  behind_others: "waits for a worker",
  avoided: "waits for a worker",
  about_to_start: "is about to start",
  window: "waits",
  running: "runs",
  over_budget: "is stopped by a budget",
};

function missingInputs({ missing }: OpenTask): Constraint {
  const listed = missing.slice(0, 5).map(({ taskId, stage, state }) => `${stage} (task ${taskId}, ${state})`);
  const rest = missing.length > listed.length ? ` and ${missing.length - listed.length} more` : "";
  const message =
    listed.length > 0 ? `${listed.join(", ")}${rest} ${missing.length === 1 ? "has" : "have"} not succeeded` : "its inputs are not there";
  return { kind: "inputs_missing", message, remedy: "" };
}

function backOff({ delayMs, failures }: OpenTask): Constraint {
  const counts = Object.entries(failures).map(([errorClass, count]) => `${count} ${errorClass}`);
  const after = counts.length > 0 ? ` after failures (${counts.join(", ")})` : "";
  const message = delayMs > 0 ? `tried again in ${(delayMs / 1000).toFixed(1)} s${after}` : `its back-off has just ended${after}`;
  return { kind: "back_off", message, remedy: "" };
}

function aboutToStart({ free }: Fleet): Constraint {
  const message = free.length === 1 ? "a worker is free and takes it next" : `${free.length} workers are free and one takes it next`;
  return { kind: "about_to_start", message, remedy: "" };
}
