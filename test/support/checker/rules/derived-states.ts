/**
 * Design §3 and the store's invariants 4 and 5: jobs and renders derive from tasks, and end when those do.
 */
import type { Facts } from "../facts.ts";
import type { JobRow, RenderRow, TaskRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { endedStates, isScore, jobName } from "../words.ts";

export const derivedStates: Rule<Facts> = {
  sentence: "jobs and renders are where their tasks are",
  check: (facts) => [
    ...facts.database.job.flatMap((job) => ofJob(facts, job)),
    ...facts.database.render.flatMap((render) => ofRender(facts, render)),
  ],
};

const counted = ["queued", "running", "succeeded", "failed", "cancelled"] as const;

function ofJob(facts: Facts, job: JobRow): readonly Finding[] {
  const renders = facts.rendersOf(job.id);
  const say = (what: string): Finding => ({ where: jobName(job.id), what, evidence: [job, ...renders] });
  const miscounted = counted.filter((state) => job[`render_${state}`] !== renders.filter((render) => render.state === state).length);
  const findings = miscounted.map((state) => say(`it counts ${job[`render_${state}`]} renders as ${state}`));
  const isOpen = renders.some(({ state }) => !endedStates.includes(state));
  const ended = renders.some(({ state }) => state === "failed")
    ? "failed"
    : renders.some(({ state }) => state === "cancelled")
      ? "cancelled"
      : "succeeded";
  const isRight = isOpen ? !endedStates.includes(job.state) : job.state === ended;
  return isRight ? findings : [...findings, say(`it is ${job.state}, its renders say otherwise`)];
}

function ofRender(facts: Facts, render: RenderRow): readonly Finding[] {
  const tasks = facts.tasksOf(render.id).flatMap(({ task_id }) => facts.tasks.get(task_id) ?? []);
  const where = `render ${render.position} of ${jobName(render.job_id)}`;
  const say = (what: string): readonly Finding[] => [{ where, what, evidence: [render, ...tasks] }];
  const isDead = ({ state }: TaskRow): boolean => state === "failed" || state === "cancelled";
  const dead = tasks.filter((task) => isDead(task) && !isScore(task));
  const isDone = tasks.length > 0 && tasks.every((task) => task.state === "succeeded" || (isScore(task) && isDead(task)));
  if (!endedStates.includes(render.state)) return dead.length > 0 || isDone ? say(`it is ${render.state}, its tasks have ended`) : [];
  // A task that ran again for another render since then has succeeded before.
  const undone = tasks.filter((task) => !isScore(task) && !facts.attemptsOf(task.id).some(({ state }) => state === "succeeded"));
  if (render.state === "succeeded" && undone.length > 0) return say("it succeeded without all of its tasks");
  // One that fails while it waits has none.
  return render.state === "failed" && tasks.length > 0 && dead.length === 0 ? say("it failed and none of its tasks did") : [];
}
