/**
 * Jobs of the model: submitted, cancelled, retried, changed; and what their tasks make of them.
 */
import { jobState, type RenderTally } from "../../../services/domain/job-state.ts";
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import { isOpenRender, type RenderState, renderState } from "../../../services/domain/render-state.ts";
import { storedTaskState } from "../../../services/domain/task-state.ts";
import type { SubmitJob } from "../../../services/coordinator/store/store-contract.ts";
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

/** What is needed to make a task of a key. */
type Plan = { readonly key: string; readonly shape: string; readonly inputs: readonly { readonly name: string; readonly key: string }[] };

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

/** A key's task of the newest generation, unless that is retired. */
const currentOf = (model: Model, key: string): ModelTask | undefined => model.tasks.find((task) => task.key === key && !task.isRetired);

const isDead = ({ place, outputs }: ModelTask): boolean =>
  place === "failed" ||
  place === "cancelled" ||
  (place === "succeeded" && (outputs.length === 0 || outputs.some(({ isStored }) => !isStored)));

/** The task of each plan that can serve a new user; those without one get a new generation. Fresh ones have no users yet. */
function takeTasks(model: Model, plans: readonly Plan[], tenant: string): { readonly taken: ModelTask[]; readonly fresh: ModelTask[] } {
  const fresh: ModelTask[] = [];
  const taken = plans.map(({ key, shape }) => {
    const known = currentOf(model, key);
    if (known !== undefined && !isDead(known)) {
      for (const output of known.outputs) output.isCondemned = false;
      return known;
    }
    if (known !== undefined) known.isRetired = true;
    const generation = model.tasks.filter((task) => task.key === key).length + 1;
    const made = newTask({ key, generation, tenant, shape, id: -model.tasks.length });
    model.tasks.push(made);
    fresh.push(made);
    return made;
  });
  for (const task of fresh) {
    const plan = plans.find(({ key }) => key === task.key);
    task.inputs = (plan?.inputs ?? []).map(({ name, key }) => ({
      name,
      producer: taken[plans.findIndex((each) => each.key === key)] ?? task,
    }));
  }
  return { taken, fresh };
}

function newTask(fields: Pick<ModelTask, "key" | "generation" | "tenant" | "shape" | "id">): ModelTask {
  return {
    ...fields,
    place: "blocked",
    isRetired: false,
    inputs: [],
    attempts: [],
    current: undefined,
    failures: {},
    failureCode: undefined,
    outputs: [],
    uses: new Set(),
    endedAt: 0,
    checkpoint: undefined,
    avoid: [],
    isRipe: false,
    slot: undefined,
  };
}

const planOf = ({ contentKey, shape, inputs }: PlannedTask): Plan => ({
  key: contentKey,
  shape,
  inputs: inputs.flatMap(({ name, source }) => (source.kind === "task" ? [{ name, key: source.contentKey }] : [])),
});

const eachOnce = (plans: readonly Plan[]): readonly Plan[] =>
  plans.filter(({ key }, index) => plans.findIndex((plan) => plan.key === key) === index);

export function submit(model: Model, asked: SubmitJob): void {
  const { taken, fresh } = takeTasks(model, eachOnce(asked.renders.flatMap(({ tasks }) => tasks.map(planOf))), asked.tenant);
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
  const plans = newest.map(({ key, shape, inputs }) => ({
    key,
    shape,
    inputs: inputs.map(({ name, producer }) => ({ name, key: producer.key })),
  }));
  const { taken, fresh } = takeTasks(model, eachOnce(plans), job.tenant);
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
