/**
 * Design §1 and §4: a runtime runs what its agent was given, once; what committed was run.
 */
import type { Facts } from "../facts.ts";
import type { Run } from "../journal-entries.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName, msOf } from "../words.ts";

export const runs: Rule<Facts> = {
  sentence: "a runtime runs what was claimed, once, and what committed was run",
  check: (facts) => [...facts.runs.flatMap((run) => unclaimed(facts, run)), ...twice(facts), ...claims(facts), ...unrun(facts)],
};

function unclaimed(facts: Facts, run: Run): readonly Finding[] {
  const attempt = facts.attempts.get(run.runId);
  if (attempt === undefined) return [{ where: `attempt ${run.runId}`, what: "a runtime ran it and it is not there", evidence: [run] }];
  const task = facts.tasks.get(attempt.task_id);
  const say = (what: string): readonly Finding[] => [{ where: attemptName(attempt), what, evidence: [run, attempt, task] }];
  if (task?.stage !== run.stage) return say(`a runtime ran ${run.stage} for it, its task is ${task?.stage ?? "gone"}`);
  return run.beganAtMs < msOf(attempt.started_at) - facts.bounds.slackMs ? say("a runtime began it before it was claimed") : [];
}

function twice(facts: Facts): readonly Finding[] {
  return [...Map.groupBy(facts.runs, ({ runId }) => runId)].flatMap(([id, all]) => {
    return all.length < 2 ? [] : [{ where: `attempt ${id}`, what: `runtimes began it ${all.length} times`, evidence: all }];
  });
}

/** What a worker was given is in the database, for its task and its session. */
function claims(facts: Facts): readonly Finding[] {
  return facts.workers.flatMap((line) => {
    if (line.kind !== "claimed") return [];
    const attempt = facts.attempts.get(line.attemptId);
    const isTrue = attempt !== undefined && String(attempt.task_id) === line.taskId && attempt.session_id === line.sessionId;
    return isTrue
      ? []
      : [{ where: `attempt ${line.attemptId}`, what: "a worker was given it, and it is not there so", evidence: [line, attempt] }];
  });
}

/** Of workers that keep a journal: a result without a run was made up. */
function unrun(facts: Facts): readonly Finding[] {
  const journaled = new Set(facts.workers.filter(({ kind }) => kind === "claimed").map(({ attemptId }) => attemptId));
  const isRun = (id: string): boolean => facts.runs.some(({ runId, outcome }) => runId === id && outcome === "succeeded");
  const made = facts.database.attempt.filter(({ id, state }) => state === "succeeded" && journaled.has(id) && !isRun(id));
  return made.map((attempt) => ({
    where: attemptName(attempt),
    what: "it committed, and no runtime ended a run of it",
    evidence: [attempt],
  }));
}
