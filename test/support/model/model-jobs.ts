/**
 * Jobs of the model: submitted, cancelled, retried, changed; and what their tasks make of them.
 */
import { jobState, type RenderTally } from "../../../services/domain/job-state.ts";
import { isOpenRender, type RenderState, renderState } from "../../../services/domain/render-state.ts";
import { storedTaskState } from "../../../services/domain/task-state.ts";
import type { SubmitJob } from "../../../services/coordinator/store/store-contract.ts";
import { planOf, planOfTask, takeTasks } from "./model-keys.ts";
import { settleTask } from "./model-tasks.ts";
import {
  addUse,
  isWanted,
  type Model,
  type ModelJob,
  type ModelRender,
  type ModelTask,
  move,
  openRenders,
  removeUse,
} from "./queue-model.ts";

export function tallyOf(job: ModelJob): RenderTally {
  const count = (state: RenderState): number => job.renders.filter((render) => render.state === state).length;
  return {
    queued: count("queued"),
    running: count("running"),
    succeeded: count("succeeded"),
    failed: count("failed"),
    cancelled: count("cancelled"),
  };
}

export function submit(model: Model, asked: SubmitJob): void {
  const { taken, fresh } = takeTasks(
    model,
    asked.renders.flatMap(({ tasks }) => tasks.map(planOf)),
    asked.tenant,
  );
  const job: ModelJob = {
    id: asked.jobId,
    tenant: asked.tenant,
    isBenchmark: asked.jobClass === "benchmark",
    priority: asked.priority,
    state: "queued",
    renders: [],
    told: ["job.submitted queued"],
  };
  for (const [position, { tasks }] of asked.renders.entries()) {
    const render: ModelRender = { job, position, uses: new Set(), state: "queued", failureCode: undefined };
    job.renders.push(render);
    for (const [index, { contentKey, artifacts }] of tasks.entries()) {
      const task = taken.find(({ key }) => key === contentKey);
      if (task !== undefined) addUse({ task, render, position: index + 1, isAgain: false, artifacts, isWanted: true });
    }
  }
  model.jobs.push(job);
  for (const task of fresh) settleTask(task, "inputs_complete");
  settleJobs(model);
}

/** Undefined: there is no such job, or no such render of it. */
export function named(model: Model, jobId: string, position: number | undefined): ModelRender[] | undefined {
  const renders = model.jobs
    .find(({ id }) => id === jobId)
    ?.renders.filter((render) => position === undefined || render.position === position);
  return renders?.length === 0 ? undefined : renders;
}

export function cancel(model: Model, renders: readonly ModelRender[]): void {
  settleJobs(model, new Set(renders));
}

/** The renders that run again. */
export function retry(model: Model, renders: readonly ModelRender[]): readonly ModelRender[] {
  const again = renders.filter(({ state }) => state === "failed" || state === "cancelled");
  const [job] = again.map((render) => render.job);
  if (job === undefined) return again;
  const former = again.flatMap((render) => [...render.uses].map(({ task }) => task));
  const newest = former.filter((task) => former.every(({ key, generation }) => key !== task.key || generation <= task.generation));
  const results = new Set(
    again.flatMap(({ uses }) => [...uses].filter(({ artifacts }) => artifacts.length > 0)).map(({ task }) => task.key),
  );
  const plans = newest.map((task) => planOfTask(task, results.has(task.key)));
  const { taken, fresh } = takeTasks(model, plans, job.tenant);
  for (const render of again) repoint(render, taken);
  const wasOpen = isOpenRender(job.state);
  for (const render of again) Object.assign(render, { state: "queued", failureCode: undefined } satisfies Partial<ModelRender>);
  job.state = jobState(wasOpen ? job.state : undefined, tallyOf(job));
  if (!wasOpen) job.told.push(`job.retried ${job.state}`);
  if (job.renders.length > 1) job.told.push(...again.map(({ position }) => `render.retried ${position}`));
  for (const task of fresh) settleTask(task, "inputs_complete");
  settleJobs(model);
  return again;
}

/** Lets a render use the keys' current tasks; of several uses of a key, the one that was planned stays. */
function repoint(render: ModelRender, taken: readonly ModelTask[]): void {
  const former = [...render.uses].toSorted((left, right) => Number(left.isAgain) - Number(right.isAgain) || left.position - right.position);
  for (const use of former) removeUse(use);
  for (const task of taken) {
    const use = former.find((each) => each.task.key === task.key);
    if (use !== undefined) addUse({ ...use, task, render, isWanted: true });
  }
}

/** Judges every open render, and ends what ends with it. */
export function settleJobs(model: Model, cancelled: ReadonlySet<ModelRender> = new Set()): void {
  const ended: ModelRender[] = [];
  for (const job of model.jobs.filter((each) => isOpenRender(each.state))) {
    const endedHere = openRenders(job).filter((render) => judge(render, cancelled.has(render)));
    if (job.renders.length > 1) job.told.push(...endedHere.map(({ state, position }) => `render.${state} ${position}`));
    job.state = jobState(job.state, tallyOf(job));
    if (!isOpenRender(job.state)) job.told.push(`job.${job.state} ${job.state}`);
    ended.push(...endedHere);
  }
  release(ended);
}

/** Gives a render its state; true when it has ended. */
function judge(render: ModelRender, isCancelled: boolean): boolean {
  const tasks = [...render.uses].map(({ task }) => storedTaskState(task.place));
  render.state = renderState({ was: render.state, isCancelled, tasks });
  if (render.state === "failed") render.failureCode = firstFailure(render) ?? "INTERNAL";
  return !isOpenRender(render.state);
}

function firstFailure(render: ModelRender): string | undefined {
  const failed = [...render.uses].filter(({ task }) => task.place === "failed");
  return failed.toSorted((left, right) => left.task.endedAt - right.task.endedAt || left.position - right.position)[0]?.task.failureCode;
}

/** Renders that ended use nothing any more. */
function release(ended: readonly ModelRender[]): void {
  const uses = ended.flatMap((render) => [...render.uses].filter((use) => use.isWanted));
  for (const use of uses) use.isWanted = false;
  for (const task of new Set(uses.map((use) => use.task))) if (!isWanted(task)) move(task, "lose_users");
}
