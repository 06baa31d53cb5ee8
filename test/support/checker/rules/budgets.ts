/**
 * Design §4.7: each class of error has its budget. Nothing is tried beyond it, nothing dies before it, and what was not explained is tried
 * on another worker while there is one.
 */
import type { ErrorClass } from "../../../../services/domain/errors.ts";
import { retryTable, type RetryRule } from "../../../../services/domain/retry.ts";
import type { Facts } from "../facts.ts";
import type { AttemptRow, SessionRow, TaskRow, WorkerRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { msOf, taskName, textOf } from "../words.ts";

export const budgets: Rule<Facts> = {
  sentence: "nothing is tried beyond its budget, and nothing dies before it",
  check: (facts) => facts.database.task.flatMap((task) => [...counts(facts, task), ...death(facts, task), ...sameWorker(facts, task)]),
};

const ruleOf = (errorClass: string): RetryRule | undefined =>
  Object.hasOwn(retryTable, errorClass) ? retryTable[errorClass as ErrorClass] : undefined;

function counts(facts: Facts, task: TaskRow): readonly Finding[] {
  const attempts = facts.attemptsOf(task.id);
  return Object.entries(task.failures).flatMap(([errorClass, failures]) => {
    const say = (what: string): readonly Finding[] => [{ where: taskName(task), what, evidence: [task, ...attempts] }];
    const failed = attempts.filter(({ error_class }) => error_class === errorClass);
    if (failures > failed.length)
      return say(`${failures} failures of class ${errorClass} are counted, ${failed.length} attempts failed so`);
    const budget = ruleOf(errorClass)?.failures;
    const isSpent = budget !== undefined && failures >= budget && task.state !== "failed";
    return isSpent ? say(`its budget of ${budget} failures of class ${errorClass} is spent, and it is ${task.state}`) : [];
  });
}

function death(facts: Facts, task: TaskRow): readonly Finding[] {
  if (task.state !== "failed") return [];
  const attempts = facts.attemptsOf(task.id);
  const last = attempts.at(-1);
  const say = (what: string): readonly Finding[] => [{ where: taskName(task), what, evidence: [task, ...attempts] }];
  const errorClass = last?.error_class ?? "";
  const rule = ruleOf(errorClass);
  if (last === undefined || rule === undefined) return say("it failed without a failed attempt");
  const failures = task.failures[errorClass] ?? 0;
  // A bad input that nobody can make again ends it at once.
  const isEarly = failures < (rule.failures ?? Infinity);
  if (isEarly && errorClass !== "artifact" && !(errorClass === "capacity" && hadMost(facts, task, last)))
    return say(`it died of ${failures} failures of class ${errorClass}`);
  const code: string | null = isEarly ? last.error_code : (rule.exhaustedCode ?? last.error_code);
  return task.failure_code === code ? [] : say(`it died as ${task.failure_code ?? ""}, which its last failure does not lead to`);
}

/**
 * Nobody of the pool has more memory than the worker that it did not fit on: a larger one need not be waited for. A worker's memory is what it
 * last said, and a worker that came after the death does not count.
 */
function hadMost({ database }: Facts, task: TaskRow, { worker_id, ended_at }: AttemptRow): boolean {
  const had = database.worker.find(({ id }) => id === worker_id)?.memory_bytes;
  if (had === undefined) return false;
  const diedMs = msOf(ended_at ?? "");
  const others = database.worker.filter(({ id, pool, memory_bytes }) => {
    const opened = database.session.filter(({ worker_id: of }) => of === id).map(({ opened_at }) => msOf(opened_at));
    const wasKnown = opened.length === 0 || Math.min(...opened) < diedMs;
    return wasKnown && pool === task.pool && memory_bytes > had;
  });
  return others.length === 0;
}

function sameWorker(facts: Facts, task: TaskRow): readonly Finding[] {
  const attempts = facts.attemptsOf(task.id);
  return attempts.flatMap((attempt, index) => {
    const burnt = attempts.slice(0, index).filter(({ error_class }) => ruleOf(error_class ?? "")?.avoidsWorker === true);
    if (!burnt.some(({ worker_id }) => worker_id === attempt.worker_id)) return [];
    const others = facts.database.worker.filter((worker) => couldTake(facts, worker, { task, attempt, burnt }));
    const what = `attempt ${attempt.number} went to ${attempt.worker_name} again, while another could take it`;
    return others.length === 0 ? [] : [{ where: taskName(task), what, evidence: [attempt, ...burnt, ...others] }];
  });
}

type Again = { readonly task: TaskRow; readonly attempt: AttemptRow; readonly burnt: readonly AttemptRow[] };

/** Surely alive then: its session was open before, and was heard of after. One that had been cordoned may not have been free to. */
function couldTake(facts: Facts, worker: WorkerRow, { task, attempt, burnt }: Again): boolean {
  const isFit = worker.pool === task.pool && worker.shapes.includes(task.shape);
  if (!isFit || burnt.some(({ worker_id }) => worker_id === worker.id)) return false;
  const atMs = msOf(attempt.started_at);
  const wasCordoned = facts.calls.some(({ call, request, askedAtMs }) => {
    return /^(cordon|drain)Worker$/.test(call) && [worker.id, worker.name].includes(textOf(request, "workerId")) && askedAtMs <= atMs;
  });
  return !wasCordoned && facts.database.session.some((session) => session.worker_id === worker.id && livesAt(session, atMs));
}

function livesAt({ opened_at, ended_at, last_heard_at, lease_until }: SessionRow, atMs: number): boolean {
  const isOpen = msOf(opened_at) < atMs && (ended_at === null || msOf(ended_at) > atMs);
  return isOpen && msOf(last_heard_at) > atMs && msOf(lease_until) > atMs;
}
