/**
 * Design §4.1, the store's invariant 1: a write about a running task changes nothing unless its attempt is current.
 *
 * At any time one attempt of a task is current; what was superseded left no state; what a worker was told of its report is what happened.
 */
import type { Facts } from "../facts.ts";
import type { AttemptRow, TaskRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName, msOf, taskName } from "../words.ts";

export const fence: Rule<Facts> = {
  sentence: "only the current attempt of a task writes",
  check(facts) {
    const tasks = facts.database.task.flatMap((task) => [...current(facts, task), ...inTurn(facts, task)]);
    return [...tasks, ...facts.database.attempt.flatMap(supersededButWritten), ...toldOtherwise(facts)];
  },
};

function current(facts: Facts, task: TaskRow): readonly Finding[] {
  const running = facts.attemptsOf(task.id).filter(({ state }) => state === "running");
  const isSound = running.length === (task.current_attempt === null ? 0 : 1) && running.every(({ id }) => id === task.current_attempt);
  if (isSound) return [];
  return [{ where: taskName(task), what: "its running attempt is not its current one", evidence: [task, ...running] }];
}

function inTurn(facts: Facts, task: TaskRow): readonly Finding[] {
  const attempts = facts.attemptsOf(task.id);
  const say = (what: string, ...evidence: readonly unknown[]): Finding => ({ where: taskName(task), what, evidence });
  const findings: Finding[] = [];
  if (attempts.length > task.attempt_count || attempts.at(-1)?.number !== (attempts.length === 0 ? undefined : task.attempt_count)) {
    findings.push(say(`it counts ${task.attempt_count} attempts, ${attempts.length} are there`, task, ...attempts));
  }
  attempts.slice(1).forEach((next, index) => {
    const before = attempts[index];
    if (before === undefined || (before.ended_at !== null && msOf(before.ended_at) <= msOf(next.started_at))) return;
    findings.push(say(`attempt ${next.number} began before attempt ${before.number} had ended`, before, next));
  });
  return findings;
}

function supersededButWritten(attempt: AttemptRow): readonly Finding[] {
  const { state, disposition } = attempt;
  const isSound = state === "succeeded" ? disposition === "committed" : true;
  if (isSound) return [];
  return [
    { where: attemptName(attempt), what: `it succeeded and its report was answered ${disposition ?? "nothing"}`, evidence: [attempt] },
  ];
}

function toldOtherwise(facts: Facts): readonly Finding[] {
  return facts.workers.flatMap((line) => {
    if (line.kind !== "answered") return [];
    const attempt = facts.attempts.get(line.attemptId);
    const where = attempt === undefined ? `attempt ${line.attemptId}` : attemptName(attempt);
    const say = (what: string): readonly Finding[] => [{ where, what, evidence: [line, attempt] }];
    if (line.disposition === "superseded")
      return attempt?.disposition === "committed" ? say("its worker was told that it was superseded, and it is committed") : [];
    if (attempt?.disposition !== "committed") return say(`its worker was told "${line.disposition}", and it is not committed`);
    const isSuccess = attempt.state === "succeeded";
    // An output may be missing from a report of success: then it counts as a failure.
    if (isSuccess && line.outcome !== "succeeded") return say(`it reported ${line.outcome}, and it succeeded`);
    return [];
  });
}
