/**
 * Rows of the event log as the rest of the coordinator sees them.
 */
import type { EventView, JobState } from "./store-contract.ts";

export type EventRow = {
  readonly job_id: string;
  readonly number: number;
  readonly at: Date;
  readonly kind: string;
  readonly stage: string;
  /** bigint, which pg gives as text. */
  readonly task_id: string;
  readonly worker_name: string;
  readonly message: string;
  readonly job_state: JobState | null;
  readonly compute_ms: number;
  readonly render_position: number | null;
};

/** One event from its row. */
export function eventFromRow(row: EventRow): EventView {
  return {
    jobId: row.job_id,
    number: row.number,
    at: row.at,
    kind: row.kind,
    stage: row.stage,
    taskId: Number(row.task_id),
    workerName: row.worker_name,
    message: row.message,
    jobState: row.job_state ?? undefined,
    computeMs: row.compute_ms,
    renderPosition: row.render_position ?? undefined,
  };
}
