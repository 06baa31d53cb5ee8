/**
 * Tasks put into any state, past the triggers, with what the table's CHECKs demand of it.
 */
import type { TaskState } from "../../services/domain/task-state.ts";
import type { World } from "./store-world.ts";

/** Columns of a state, for an update. */
export const shapeOf = (state: TaskState): string =>
  [
    `state = '${state}'`,
    `current_attempt = ${state === "running" ? "coalesce(current_attempt, gen_random_uuid())" : "null"}`,
    `delayed_until = ${state === "delayed" ? "now()" : "null"}`,
    `failure_code = ${state === "failed" ? "'INTERNAL'" : "null"}`,
    `ended_at = ${["succeeded", "failed", "cancelled"].includes(state) ? "now()" : "null"}`,
  ].join(", ");

/** Puts the tasks that the condition names into the state, whatever they were in. */
export async function putTasks({ sql }: World, state: TaskState, condition = "true"): Promise<void> {
  await sql("alter table task disable trigger task_move");
  await sql(`update task set ${shapeOf(state)} where ${condition}`);
  await sql("alter table task enable trigger task_move");
}
