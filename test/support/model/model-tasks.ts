/**
 * What becomes of the model's tasks when their attempts end.
 */
import { type ErrorClass, errorTable, isErrorCode } from "../../../services/domain/errors.ts";
import { decideRetry, retryTable } from "../../../services/domain/retry.ts";
import type { AttemptEvent } from "../../../services/domain/task-state.ts";
import { checkpointOf, computeMs, outputHash } from "../store-world.ts";
import { planOfTask, takeTasks } from "./model-keys.ts";
import { levelOf, noteStop } from "./model-levels.ts";
import { addUse, end, isWanted, missingOf, type ModelAttempt, type ModelTask, move, nextPlace, tick, type Model } from "./queue-model.ts";

export type ModelFailure = {
  readonly code: string;
  /** Hashes of inputs that it found missing; a hash says what made it. */
  readonly bad: readonly string[];
  readonly event: "fail" | "lapse";
};

/** Workers whose attempts ended in a way that speaks against another try there. */
export const avoidedBy = (task: ModelTask): readonly string[] => [
  ...new Set(
    task.attempts
      .filter(({ errorClass }) => errorClass !== undefined && retryTable[errorClass].avoidsWorker)
      .map(({ session }) => session.worker),
  ),
];

/** To be called when a task may have become ready. */
function noteReady(task: ModelTask): void {
  if (task.place === "ready") Object.assign(task, { avoid: avoidedBy(task).toSorted(), isRipe: false } satisfies Partial<ModelTask>);
}

const engineOf = ({ session, task }: ModelAttempt): string => `${session.worker}/${task.shape}`;

/** Ends an attempt after which the task belongs where its users and inputs put it. */
function endInto(attempt: ModelAttempt, event: AttemptEvent, otherwise: "retry_now" | "start_anew" | "give_back"): void {
  end(attempt, event, nextPlace(attempt.task, otherwise));
  noteReady(attempt.task);
}

/** A task that no attempt runs goes where it belongs. */
export function settleTask(task: ModelTask, otherwise: "inputs_complete" | "back_off_over" | "lose_output"): void {
  const event = nextPlace(task, otherwise);
  if (event === "lose_input" && task.place === "blocked") return;
  move(task, event);
  noteReady(task);
}

/** `isReported`: by its worker's word, which nobody may have ordered. The second time that workers which went on do so, the task waits. */
export function giveBack(model: Model, attempt: ModelAttempt, isReported: boolean): void {
  const { task } = attempt;
  const level = levelOf(model, attempt.id);
  attempt.isUnordered = isReported && attempt.hasBegun && level === "wanted";
  const repeats = task.attempts.filter((each) => each.isUnordered && each.session.endReason !== "stopped").length;
  const event = level === "preempt" ? "preempt" : "abandon";
  const consequence = nextPlace(task, level === "preempt" ? "preempt" : "give_back");
  const isDelayed = consequence === "give_back" && attempt.isUnordered && repeats > 1;
  noteStop(model, attempt);
  noteWay(model, attempt);
  end(attempt, event, isDelayed ? "retry_later" : consequence);
  noteReady(task);
}

/** Takes an attempt from its worker that has not begun it. */
export function revoke(model: Model, attempt: ModelAttempt): void {
  attempt.usage = { disposition: "returned", deviceMs: attempt.deviceMs };
  noteStop(model, attempt);
  noteWay(model, attempt);
  end(attempt, "revoke", nextPlace(attempt.task, "revoke"));
  noteReady(attempt.task);
}

/** Also of a preemption that is over: the worker may have heard of it before. */
function noteWay({ preemptions }: Model, attempt: ModelAttempt): void {
  const last = preemptions.findLast((each) => each.attempt === attempt);
  if (last !== undefined) last.hasMadeWay = true;
}

export function fail(model: Model, attempt: ModelAttempt, { code, bad, event }: ModelFailure): void {
  const { task } = attempt;
  const errorClass: ErrorClass = isErrorCode(code) ? errorTable[code].errorClass : "unexplained";
  noteStop(model, attempt);
  if (event === "lapse" && isSpared(attempt, errorClass)) return endInto(attempt, event, "retry_now");
  attempt.errorClass = errorClass;
  if (errorClass === "engine") {
    model.quarantines.add(engineOf(attempt));
    model.justShut.add(attempt.session.worker);
  }
  if (!isWanted(task)) return endInto(attempt, event, "retry_now");
  if (errorClass === "artifact" && losesCheckpoint(task, bad)) return endInto(attempt, event, "start_anew");
  const count = (task.failures[errorClass] ?? 0) + 1;
  task.failures[errorClass] = count;
  const decision = decideRetry(errorClass, count, 0);
  if (errorClass === "artifact") for (const producer of producersOf(task, bad)) reopenIfOlder(model, producer, attempt);
  // All workers of a play have the same memory: none could do better.
  const isHopeless = errorClass === "capacity";
  if (decision.kind === "fail" || isHopeless) {
    end(attempt, event, "exhaust");
    task.failureCode = decision.kind === "fail" ? (decision.code ?? code) : code;
    task.endedAt = tick(model);
    return;
  }
  if (decision.delayMs === 0 || errorClass === "artifact") return endInto(attempt, event, "retry_now");
  end(attempt, event, "retry_later");
}

/** Whether its loss speaks against nobody: it had only been promised. */
function isSpared({ task, hasBegun }: ModelAttempt, errorClass: ErrorClass): boolean {
  const before = task.attempts.filter((each) => each.place === "lost" && !each.hasBegun).length;
  return !hasBegun && before < (retryTable[errorClass].spared ?? 0);
}

/** Drops a checkpoint that is among the bad; true when it is the only one. */
function losesCheckpoint(task: ModelTask, bad: readonly string[]): boolean {
  if (task.checkpoint === undefined) return false;
  const { sha256 } = checkpointOf({ taskId: task.id }, task.checkpoint.step);
  if (!bad.includes(sha256)) return false;
  task.checkpoint = undefined;
  return bad.every((hash) => hash === sha256);
}

function producersOf({ inputs }: ModelTask, bad: readonly string[]): readonly ModelTask[] {
  const producers = [...new Set(inputs.map(({ producer }) => producer))].toSorted((left, right) => left.id - right.id);
  return producers.filter(({ id, outputs }) => outputs.some(({ name }) => bad.includes(outputHash(id, name))));
}

/** One that ended after the attempt began has been run again already. */
function reopenIfOlder(model: Model, producer: ModelTask, attempt: ModelAttempt): void {
  if (producer.place !== "succeeded" || producer.endedAt > attempt.startedAt) return;
  producer.outputs = [];
  const former = [...producer.uses];
  for (const { render, position, isWanted: isUserOpen } of attempt.task.uses) {
    if (!isUserOpen) continue;
    const use = former.find((known) => known.render === render);
    if (use === undefined) addUse({ task: producer, render, position, isAgain: true, artifacts: [], isWanted: true });
    else use.isWanted = true;
  }
  producer.failures = {};
  renewInputs(model, producer);
  settleTask(producer, "lose_output");
  for (const task of model.tasks.filter(({ inputs }) => inputs.some((input) => input.producer === producer))) {
    if (task.place === "ready" || task.place === "delayed") move(task, "lose_input");
  }
}

/** What it takes and is gone is made again in a new generation, and what that takes, for those who want the task. */
function renewInputs(model: Model, task: ModelTask): void {
  const sources = new Set<ModelTask>();
  const follow = ({ inputs }: ModelTask): void => {
    for (const { producer } of inputs) {
      sources.add(producer);
      follow(producer);
    }
  };
  follow(task);
  const own = new Set(task.inputs.map(({ producer }) => producer.key));
  const newest = [...sources].filter((source) =>
    [...sources].every(({ key, generation }) => key !== source.key || generation <= source.generation),
  );
  const { taken, fresh } = takeTasks(
    model,
    newest.map((source) => planOfTask(source, own.has(source.key))),
    task.tenant,
  );
  task.inputs = task.inputs.map(({ name, producer }) => ({ name, producer: taken.find(({ key }) => key === producer.key) ?? producer }));
  const users = [...task.uses].filter((use) => use.isWanted);
  for (const source of taken) {
    for (const { render, position } of users) {
      if ([...source.uses].some((use) => use.render === render)) continue;
      addUse({ task: source, render, position, isAgain: true, artifacts: [], isWanted: true });
    }
  }
  for (const source of fresh) settleTask(source, "inputs_complete");
}

/** How long the model's workers say that a task of the shape computes. */
export function expectedMs({ attempts }: Model, shape: string): number {
  return [...attempts.values()].some(({ task, place }) => task.shape === shape && place === "succeeded") ? computeMs : 0;
}

/** Its outputs are there: what waited for the last of them can run. */
export function succeed(model: Model, attempt: ModelAttempt, names: readonly string[]): void {
  const { task } = attempt;
  end(attempt, "succeed", "succeed");
  model.quarantines.delete(engineOf(attempt));
  task.endedAt = tick(model);
  task.outputs = names.map((name) => ({ name, isStored: true, isCondemned: false }));
  for (const waiting of model.tasks) {
    const waits = waiting.place === "blocked" && waiting.inputs.some(({ producer }) => producer === task);
    if (waits && missingOf(waiting) === 0) settleTask(waiting, "inputs_complete");
  }
}

/** Whether something needs an output that is not among the names. */
export function lacksOutput(model: Model, task: ModelTask, names: readonly string[]): boolean {
  const taken = model.tasks.some(({ inputs }) => inputs.some(({ producer }) => producer === task)) ? ["out"] : [];
  return [...taken, ...[...task.uses].flatMap(({ artifacts }) => artifacts)].some((name) => !names.includes(name));
}
