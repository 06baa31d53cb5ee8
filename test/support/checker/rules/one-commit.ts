/**
 * Design §4.2, the store's invariants 2 to 4: report, results, dependents, users and events change in one commit or not at all.
 */
import type { Facts } from "../facts.ts";
import type { TaskRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { endedStates, isScore, openTaskStates, taskName } from "../words.ts";

export const oneCommit: Rule<Facts> = {
  sentence: "a report, its results, its dependents and its events are one commit",
  check: (facts) => [...wants(facts), ...facts.database.task.flatMap((task) => [...inputs(facts, task), ...unlogged(facts, task)])],
};

function inputs(facts: Facts, task: TaskRow): readonly Finding[] {
  if (!openTaskStates.includes(task.state)) return [];
  const missing = facts.database.task_input.filter(({ task_id, producer_id }) => {
    return task_id === task.id && producer_id !== null && facts.tasks.get(producer_id)?.state !== "succeeded";
  });
  const say = (what: string): readonly Finding[] => [{ where: taskName(task), what, evidence: [task, ...missing] }];
  if (task.state === "blocked" && task.inputs_missing !== missing.length) {
    return say(`it waits for ${task.inputs_missing} inputs, ${missing.length} are not there`);
  }
  if (task.state === "blocked" && missing.length === 0) return say("it is blocked and waits for nothing");
  // What runs may lose an input meanwhile; what is about to may not.
  return task.state === "ready" && missing.length > 0 ? say("it is ready and an input is not there") : [];
}

function wants(facts: Facts): readonly Finding[] {
  const wrong = facts.database.task_user.filter(({ render_id, is_wanted }) => {
    const render = facts.renders.get(render_id);
    return is_wanted === (endedStates.includes(render?.state ?? "") || render?.is_waiting === true);
  });
  const unused = facts.database.task.filter(({ id, state }) => {
    return openTaskStates.includes(state) && state !== "running" && !facts.usersOf(id).some(({ is_wanted }) => is_wanted);
  });
  return [
    ...wrong.map((row) => ({
      where: `task ${row.task_id}`,
      what: "it is wanted by an ended render, or not by an open one",
      evidence: [row, facts.renders.get(row.render_id)],
    })),
    ...unused.map((task) => ({ where: taskName(task), what: `it is ${task.state} and nobody wants it`, evidence: [task] })),
  ];
}

/**
 * A render that succeeded has the success of each task that was not another's before in its job's log; of a score only where it committed. One that was
 * retried may have older ones.
 */
function unlogged(facts: Facts, task: TaskRow): readonly Finding[] {
  const committed = facts.attemptsOf(task.id).some(({ state }) => state === "succeeded");
  const users = facts.usersOf(task.id).filter(({ is_reused }) => !is_reused);
  const renders = users.flatMap(({ render_id }) => facts.renders.get(render_id) ?? []).filter(({ state }) => state === "succeeded");
  const jobs = (isScore(task) && !committed ? [] : renders).filter(({ job_id }) => {
    if (facts.jobs.get(job_id)?.is_pruned !== false) return false;
    const events = facts.eventsOf(job_id);
    const isThere = events.some(({ kind, task_id }) => kind === "task.succeeded" && task_id === task.id);
    return !isThere && !events.some(({ kind }) => kind.endsWith(".retried") && kind !== "task.retried");
  });
  const invented = facts.database.event.filter(({ kind, task_id }) => kind === "task.succeeded" && task_id === task.id && !committed);
  return [
    ...jobs.map((render) => ({
      where: taskName(task),
      what: `its success is not in the log of job ${render.job_id}`,
      evidence: [task, render],
    })),
    ...invented.map((event) => ({
      where: taskName(task),
      what: "the log tells of a success, and no attempt committed",
      evidence: [event, task],
    })),
  ];
}
