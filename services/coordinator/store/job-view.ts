/**
 * A job as lists show it, from its row (sql/jobs).
 */
import type { RenderSpec } from "../../domain/render-spec.ts";
import type {
  DeadlineStanding,
  FailureView,
  JobClass,
  JobState,
  JobSummary,
  RenderCounts,
  RenderSummary,
  Reuse,
  WebhookView,
} from "./store-contract.ts";

type Failure = { readonly failure_code: string | null; readonly failure_message: string | null; readonly failure_stage: string | null };

export type JobRow = Failure & {
  readonly id: string;
  readonly tenant_id: string;
  readonly state: JobState;
  readonly job_class: JobClass;
  readonly priority: number;
  readonly deadline: Date | null;
  readonly deadline_standing: DeadlineStanding | null;
  readonly reuse: Reuse;
  readonly created_at: Date;
  readonly ended_at: Date | null;
  readonly last_event: number;
  readonly render_total: number;
  readonly render_queued: number;
  readonly render_running: number;
  readonly render_succeeded: number;
  readonly render_failed: number;
  readonly render_cancelled: number;
  /** Of its webhook; null: it has none. */
  readonly url: string | null;
  /** Of the delivery of its last end; null: none. */
  readonly event_number: number | null;
  readonly tries: number | null;
  readonly delivered_at: Date | null;
  readonly next_try_at: Date | null;
  readonly last_error: string | null;
  /** Of its render, when it has one only. */
  readonly spec: RenderSpec | null;
  readonly model_weights: string | null;
  readonly fps: number | null;
};

/** The job without its tasks. */
export function jobFromRow(row: JobRow): JobSummary {
  return {
    jobId: row.id,
    tenant: row.tenant_id,
    state: row.state,
    jobClass: row.job_class,
    priority: row.priority,
    deadline: row.deadline ?? undefined,
    deadlineStanding: row.deadline_standing ?? undefined,
    reuse: row.reuse,
    createdAt: row.created_at,
    endedAt: row.ended_at ?? undefined,
    failure: failureOf(row),
    lastEventNumber: row.last_event,
    renderCounts: countsOf(row),
    webhook: webhookOf(row),
    only: onlyOf(row),
  };
}

function failureOf(row: Failure): FailureView | undefined {
  if (row.failure_code === null) return undefined;
  return { code: row.failure_code, message: row.failure_message ?? "", stage: row.failure_stage ?? "" };
}

function countsOf(row: JobRow): RenderCounts {
  return {
    total: row.render_total,
    queued: row.render_queued,
    running: row.render_running,
    succeeded: row.render_succeeded,
    failed: row.render_failed,
    cancelled: row.render_cancelled,
  };
}

function webhookOf(row: JobRow): WebhookView | undefined {
  if (row.url === null) return undefined;
  if (row.event_number === null) return { url: row.url, delivery: undefined };
  const delivery = {
    eventNumber: row.event_number,
    tries: row.tries ?? 0,
    deliveredAt: row.delivered_at ?? undefined,
    nextTryAt: row.next_try_at ?? undefined,
    lastError: row.last_error ?? "",
  };
  return { url: row.url, delivery };
}

/** The render of a job of one is what the job is: state, end and failure are the same. */
function onlyOf(row: JobRow): RenderSummary | undefined {
  if (row.spec === null) return undefined;
  return {
    jobId: row.id,
    position: 0,
    state: row.state,
    spec: row.spec,
    endedAt: row.ended_at ?? undefined,
    failure: failureOf(row),
    modelWeights: row.model_weights ?? "",
    fps: row.fps ?? 0,
  };
}
