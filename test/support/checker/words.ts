/**
 * How rules name what they found, and small readings of rows that several share.
 */
import type { Kept } from "./journal-entries.ts";
import type { AttemptRow, TaskRow } from "./rows.ts";

export const endedStates: readonly string[] = ["succeeded", "failed", "cancelled"];
export const openTaskStates: readonly string[] = ["blocked", "ready", "running", "delayed"];

/** Milliseconds of a row's time. */
export const msOf = (time: string): number => Date.parse(time);

export const jobName = (id: string): string => `job ${id}`;
export const taskName = ({ id, stage }: Pick<TaskRow, "id" | "stage">): string => `task ${id} (${stage})`;
export const attemptName = ({ id, number, task_id }: Pick<AttemptRow, "id" | "number" | "task_id">): string =>
  `attempt ${number} of task ${task_id} (${id})`;

/** Whether a render may lack what the task gives (decision 0019). */
export const isScore = ({ stage }: Pick<TaskRow, "stage">): boolean => stage.startsWith("score/");

/** A message inside of a kept one; undefined where there is none. */
export function partOf(message: Kept | undefined, name: string): Kept | undefined {
  const part = message?.[name];
  return typeof part === "object" && part !== null ? (part as Kept) : undefined;
}

/** A text of a kept message, "" where there is none. */
export function textOf(message: Kept | undefined, name: string): string {
  const text = message?.[name];
  return typeof text === "string" ? text : "";
}

/** A number of a kept message, whether it was 32 or 64 bits wide. */
export function numberOf(message: Kept | undefined, name: string): number {
  return Number(message?.[name] ?? 0);
}
