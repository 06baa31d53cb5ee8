/**
 * Evidence with the ways through it that rules need: rows by what they belong to.
 */
import type { Evidence } from "./evidence.ts";
import type { AttemptRow, EventRow, JobRow, RenderRow, TaskOutputRow, TaskRow, TaskUserRow, UsageRow } from "./rows.ts";

export type Facts = Evidence & {
  readonly jobs: ReadonlyMap<string, JobRow>;
  readonly renders: ReadonlyMap<number, RenderRow>;
  readonly tasks: ReadonlyMap<number, TaskRow>;
  readonly attempts: ReadonlyMap<string, AttemptRow>;
  rendersOf(jobId: string): readonly RenderRow[];
  usersOf(taskId: number): readonly TaskUserRow[];
  tasksOf(renderId: number): readonly TaskUserRow[];
  /** In order of number. */
  attemptsOf(taskId: number): readonly AttemptRow[];
  outputsOf(taskId: number): readonly TaskOutputRow[];
  /** In order of number. */
  eventsOf(jobId: string): readonly EventRow[];
  usagesOf(attemptId: string): readonly UsageRow[];
};

/** The same evidence, indexed. */
export function factsOf(evidence: Evidence): Facts {
  const { job, render, task, task_user, attempt, task_output, event, usage } = evidence.database;
  const byNumber = (a: { readonly number: number }, b: { readonly number: number }): number => a.number - b.number;
  return {
    ...evidence,
    jobs: new Map(job.map((row) => [row.id, row])),
    renders: new Map(render.map((row) => [row.id, row])),
    tasks: new Map(task.map((row) => [row.id, row])),
    attempts: new Map(attempt.map((row) => [row.id, row])),
    rendersOf: grouped(render, ({ job_id }) => job_id),
    usersOf: grouped(task_user, ({ task_id }) => task_id),
    tasksOf: grouped(task_user, ({ render_id }) => render_id),
    attemptsOf: grouped([...attempt].sort(byNumber), ({ task_id }) => task_id),
    outputsOf: grouped(task_output, ({ task_id }) => task_id),
    eventsOf: grouped([...event].sort(byNumber), ({ job_id }) => job_id),
    usagesOf: grouped(usage, ({ attempt_id }) => attempt_id),
  };
}

function grouped<Row, Key>(rows: readonly Row[], keyOf: (row: Row) => Key): (key: Key) => readonly Row[] {
  const groups = Map.groupBy(rows, keyOf);
  return (key) => groups.get(key) ?? [];
}
