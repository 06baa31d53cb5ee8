/**
 * Design §10: nothing is claimed after the last render that wanted it has ended, and what runs for nobody ends soon.
 */
import type { Facts } from "../facts.ts";
import type { TaskRow } from "../rows.ts";
import { toldJobsOf } from "../told-jobs.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName, endedStates, jobName, msOf, taskName } from "../words.ts";

export const cancelled: Rule<Facts> = {
  sentence: "nothing begins for a render that has ended, and what runs for nobody ends soon",
  check: (facts) => [...facts.database.task.flatMap((task) => ofTask(facts, task)), ...stillOpen(facts)],
};

/** When the last of its users ended; undefined while one is open. Users of before a retry are not known: such a task is left out. */
function unwantedSince(facts: Facts, task: TaskRow): number | undefined {
  const renders = facts.usersOf(task.id).flatMap(({ render_id }) => facts.renders.get(render_id) ?? []);
  if (renders.length === 0 || renders.some(({ state }) => !endedStates.includes(state))) return undefined;
  return Math.max(...renders.map(({ ended_at }) => msOf(ended_at ?? "")));
}

function ofTask(facts: Facts, task: TaskRow): readonly Finding[] {
  const sinceMs = unwantedSince(facts, task);
  if (sinceMs === undefined) return [];
  const { cancelMs, slackMs } = facts.bounds;
  const say = (where: string, what: string, ...evidence: readonly unknown[]): Finding => ({ where, what, evidence: [task, ...evidence] });
  const attempts = facts.attemptsOf(task.id);
  const claimed = attempts.filter(({ started_at }) => msOf(started_at) > sinceMs);
  const runs = facts.runs.filter(({ runId }) => attempts.some(({ id }) => id === runId));
  const late = runs.filter(({ beganAtMs }) => beganAtMs > sinceMs + cancelMs);
  const long = runs.filter(
    ({ beganAtMs, endedAtMs, outcome }) => beganAtMs <= sinceMs + slackMs && outcome !== undefined && (endedAtMs ?? 0) > sinceMs + cancelMs,
  );
  return [
    ...claimed.map((attempt) => say(attemptName(attempt), "it was claimed after its last user had ended", attempt)),
    ...late.map((run) => say(taskName(task), `a run of it began ${run.beganAtMs - sinceMs} ms after its last user had ended`, run)),
    ...long.map((run) =>
      say(taskName(task), `a run of it went on for ${(run.endedAtMs ?? 0) - sinceMs} ms after its last user had ended`, run),
    ),
  ];
}

/** An answered cancel of a job has ended it. */
function stillOpen(facts: Facts): readonly Finding[] {
  const told = toldJobsOf(facts.calls.filter(({ call }) => call === "cancelJob"));
  return told
    .filter(({ state }) => !endedStates.includes(state))
    .map(({ jobId, state, call }) => ({ where: jobName(jobId), what: `a cancel of it was answered with "${state}"`, evidence: [call] }));
}
