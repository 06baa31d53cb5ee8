/**
 * What a render's tasks, or a client's word, make of it. A score that cannot be had fails no render (decision 0019): it is waited for, no more.
 * The database decides by the same rule (`vf_judge_renders`); a test holds both together.
 */
import type { TaskState } from "./task-state.ts";

export type RenderState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

export type RenderFacts = {
  readonly was: RenderState;
  readonly isCancelled: boolean;
  /** Of each task that it uses, scores apart; none while its tasks are not made yet. */
  readonly tasks: readonly TaskState[];
  /** Of each of its score tasks. */
  readonly scores?: readonly TaskState[];
};

const dead: readonly TaskState[] = ["failed", "cancelled"];
const started: readonly TaskState[] = ["running", "delayed"];

/** Whether something may still come of it. */
export function isOpenRender(state: RenderState): boolean {
  return state === "queued" || state === "running";
}

/** Its state now: one that has ended stays so, one that has started does not go back. */
export function renderState({ was, isCancelled, tasks, scores = [] }: RenderFacts): RenderState {
  if (!isOpenRender(was)) return was;
  if (isCancelled) return "cancelled";
  if (tasks.some((state) => dead.includes(state))) return "failed";
  const isDone = tasks.every((state) => state === "succeeded") && scores.every((state) => state === "succeeded" || dead.includes(state));
  if (isDone && tasks.length + scores.length > 0) return "succeeded";
  return was === "running" || [...tasks, ...scores].some((state) => started.includes(state)) ? "running" : "queued";
}
