/**
 * What must hold of the model after every operation, whatever it was: the promises of the store's README, said of the model.
 *
 * They are checked apart from the rules that make them, so that a rule which breaks one is found without a store.
 */
import { isOpenRender } from "../../../services/domain/render-state.ts";
import {
  isOpenTask,
  isRunning,
  isWanted,
  missingOf,
  type Model,
  type ModelJob,
  type ModelTask,
  openRenders,
  wrong,
} from "./queue-model.ts";

function require(holds: boolean, message: string): void {
  if (!holds) wrong(message);
}

function checkTask(task: ModelTask): void {
  const name = `task ${task.key}#${task.generation} (${task.place})`;
  const running = task.attempts.filter(isRunning);
  const runs = task.place === "running" || task.place === "unwanted";
  require(running.length === (runs ? 1 : 0) && task.current === running[0], `${name}: not one attempt exactly while it runs`);
  require(isOpenTask(task) ? isWanted(task) !== (task.place === "unwanted") : true, `${name}: open exactly while it is wanted`);
  require(task.place !== "blocked" || missingOf(task) > 0, `${name}: waits for nothing`);
  require(task.place !== "ready" || missingOf(task) === 0, `${name}: lacks an input`);
  require(task.outputs.length === 0 || task.place === "succeeded", `${name}: a result of a task that has not succeeded`);
  require((task.failureCode !== undefined) === (task.place === "failed"), `${name}: a failure without a code`);
  const since = task.attempts.findLast(({ place }) => place === "succeeded");
  require(task.place !== "succeeded" || since !== undefined, `${name}: succeeded without an attempt that did`);
}

/** A session waits for one promised task at a time; an open preemption has its beneficiary and its worker for itself. */
function checkPromises({ attempts, preemptions, tasks }: Model): void {
  const promised = [...attempts.values()].filter(({ place }) => place === "reserved");
  require(new Set(promised.map(({ session }) => session)).size === promised.length, "a session with two reservations");
  require(promised.every(({ hasBegun, chargedMs }) => !hasBegun && chargedMs === 0), "a reservation that is charged or has begun");
  const open = preemptions.filter(({ outcome }) => outcome === undefined);
  require(open.every(
    (each) => each.beneficiary.slot === each && each.beneficiary.place === "ready",
  ), "a slot for a task that is not ready");
  require(tasks.every(({ slot }) => slot === undefined || open.includes(slot)), "a slot that nobody keeps");
  require(new Set(open.map(({ attempt }) => attempt.session.worker)).size === open.length, "two slots on one worker");
}

function checkJob(job: ModelJob): void {
  const open = openRenders(job).length > 0;
  require(isOpenRender(job.state) === open, `job ${job.id} (${job.state}): open exactly while a render is`);
  for (const render of openRenders(job)) {
    const places = [...render.uses].map(({ task }) => task.place);
    require(!places.some((place) => place === "failed" || place === "cancelled"), `job ${job.id}: an open render of a dead task`);
    require(!places.every((place) => place === "succeeded"), `job ${job.id}: an open render with nothing to wait for`);
  }
  const ends = job.told.filter((each) => /^job\.(succeeded|failed|cancelled)/.test(each)).length;
  const begins = job.told.filter((each) => /^job\.(submitted|retried)/.test(each)).length;
  require(begins === ends + (open ? 1 : 0), `job ${job.id}: told of another number of ends than it had`);
}

/** Ends the run when something does not hold. */
export function checkSoundness(model: Model): void {
  for (const task of model.tasks) checkTask(task);
  checkPromises(model);
  for (const job of model.jobs) checkJob(job);
  for (const attempt of model.attempts.values()) {
    require(isRunning(attempt) === (attempt.usage === undefined), `attempt ${attempt.id}: in the books exactly when it has ended`);
    require(!isRunning(attempt) || attempt.session.endReason !== "lapsed", `attempt ${attempt.id}: runs in a session that was reaped`);
    require(attempt.place !== "succeeded" || attempt.disposition === "committed", `attempt ${attempt.id}: a result that nobody reported`);
  }
  for (const task of model.tasks.filter(({ isRetired }) => !isRetired)) {
    require(model.tasks.filter(({ key, isRetired }) => key === task.key && !isRetired).length ===
      1, `${task.key}: two current generations`);
  }
}
