/**
 * The model's duties: reaping, promotion, collection.
 */
import { decideReap, type Lapses, type ReapDecision } from "../../../services/domain/reaping.ts";
import { free, runningOf } from "./model-dispatch.ts";
import { settleJobs } from "./model-jobs.ts";
import { settleTask } from "./model-tasks.ts";
import { isOpenTask, isRunning, type Model, type ModelOutput, type ModelSession, type ModelTask } from "./queue-model.ts";

export type Canary = Lapses["canary"];

const limits = { leaseMs: 1_000, canaryGapMs: 1_000 };
export const soundCanary: Canary = { silentMs: 0, unbrokenMs: 1_000_000 };

function decide(model: Model, canary: Canary): ReapDecision {
  const live = [...model.sessions.values()].filter(({ isLive }) => isLive);
  const lapsed = live
    .filter(({ lapsedAt }) => lapsedAt !== undefined)
    .toSorted((left, right) => (left.lapsedAt ?? 0) - (right.lapsedAt ?? 0));
  const pools = live.length === 0 ? [] : [{ pool: "pool", live: live.length, lapsed: lapsed.map(({ id }) => id) }];
  return decideReap({ canary, pools }, limits);
}

/** How many sessions and attempts were ended. */
export function reap(model: Model, canary: Canary): { readonly sessions: number; readonly attempts: number } {
  const decision = decide(model, canary);
  return reapSessions(
    model,
    (decision.kind === "reap" ? decision.sessionIds : []).flatMap((id) => model.sessions.get(id) ?? []),
  );
}

/** Of the sessions that an older snapshot named, those are ended whose lease is still over. */
export function reapLate(model: Model, named: readonly ModelSession[]): { readonly sessions: number; readonly attempts: number } {
  return reapSessions(
    model,
    named.filter(({ isLive, lapsedAt }) => isLive && lapsedAt !== undefined),
  );
}

function reapSessions(model: Model, ended: readonly ModelSession[]): { readonly sessions: number; readonly attempts: number } {
  for (const session of ended) Object.assign(session, { isLive: false, endReason: "lapsed" } satisfies Partial<ModelSession>);
  const overdue = [...model.attempts.values()].filter(
    (attempt) => isRunning(attempt) && attempt.session.isLive && attempt.naming === "overdue",
  );
  const lost = [...runningOf(model, ended), ...overdue].toSorted((left, right) => left.task.id - right.task.id);
  for (const attempt of lost) free(model, attempt, "LEASE_LAPSED");
  settleJobs(model);
  return { sessions: ended.length, attempts: lost.length };
}

/** Every back-off is over. */
export function promote(model: Model): void {
  for (const task of model.tasks.filter(({ place }) => place === "delayed")) settleTask(task, "back_off_over");
  settleJobs(model);
}

/** Whether anything may still ask for an output's bytes. */
function isNeeded(model: Model, task: ModelTask, { name }: ModelOutput): boolean {
  const hasConsumer = model.tasks.some((other) => isOpenTask(other) && other.inputs.some(({ producer }) => producer === task));
  return hasConsumer || [...task.uses].some((use) => use.isWanted || (use.artifacts.includes(name) && use.render.state === "succeeded"));
}

/** Deletes what was condemned before and is still not needed, then condemns what is not needed. */
export function collect(model: Model): void {
  const outputs = model.tasks.flatMap((task) => task.outputs.map((output) => ({ task, output })));
  const condemned = outputs.filter(({ output }) => output.isCondemned);
  for (const { task, output } of outputs) if (!isNeeded(model, task, output)) output.isCondemned = true;
  for (const { task, output } of condemned) {
    output.isCondemned = false;
    if (isNeeded(model, task, output)) continue;
    task.isRetired = true;
    task.outputs = task.outputs.filter((other) => other !== output);
  }
}
