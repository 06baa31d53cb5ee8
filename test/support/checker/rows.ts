/**
 * Rows as the database has them (`to_jsonb`): the columns that rules look at. Times are ISO 8601 with an offset.
 */
export type JobRow = {
  readonly id: string;
  readonly tenant_id: string;
  readonly idempotency_key: string | null;
  readonly job_class: string;
  readonly priority: number;
  readonly state: string;
  readonly created_at: string;
  readonly ended_at: string | null;
  readonly failure_code: string | null;
  readonly last_event: number;
  readonly sent_event: number;
  readonly is_pruned: boolean;
  readonly render_total: number;
  readonly render_queued: number;
  readonly render_running: number;
  readonly render_succeeded: number;
  readonly render_failed: number;
  readonly render_cancelled: number;
};

export type RenderRow = {
  readonly id: number;
  readonly job_id: string;
  readonly position: number;
  readonly pool: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly state: string;
  /** For the window of its pool. */
  readonly is_waiting: boolean;
  readonly ended_at: string | null;
};

export type TaskRow = {
  readonly id: number;
  readonly content_key: string;
  readonly generation: number;
  readonly is_retired: boolean;
  readonly tenant_id: string;
  readonly stage: string;
  readonly pool: string;
  readonly shape: string;
  readonly state: string;
  readonly inputs_missing: number;
  readonly attempt_count: number;
  readonly current_attempt: string | null;
  readonly failures: Readonly<Record<string, number>>;
  readonly failure_code: string | null;
  readonly created_at: string;
  readonly ended_at: string | null;
};

export type TaskUserRow = {
  readonly task_id: number;
  readonly render_id: number;
  readonly label: string;
  readonly artifacts: readonly string[];
  readonly is_reused: boolean;
  readonly is_wanted: boolean;
};

export type TaskInputRow = {
  readonly task_id: number;
  readonly name: string;
  readonly upload_sha256: string | null;
  readonly producer_id: number | null;
  readonly producer_output: string | null;
};

export type TaskOutputRow = { readonly task_id: number; readonly name: string; readonly sha256: string };

export type AttemptRow = {
  readonly id: string;
  readonly task_id: number;
  readonly number: number;
  readonly session_id: string;
  readonly worker_id: string;
  readonly worker_name: string;
  readonly state: string;
  readonly disposition: string | null;
  readonly started_at: string;
  /** Null: promised, and not known to have begun. */
  readonly began_at: string | null;
  readonly ended_at: string | null;
  readonly error_code: string | null;
  readonly error_class: string | null;
  readonly error_message: string | null;
  readonly device_ms: number;
  readonly unnamed_since: string | null;
  readonly provider: string | null;
  readonly profile: string | null;
};

export type SessionRow = {
  readonly id: string;
  readonly worker_id: string;
  readonly pool: string;
  readonly is_live: boolean;
  readonly end_reason: string | null;
  readonly lease_until: string;
  readonly last_heard_at: string;
  readonly opened_at: string;
  readonly ended_at: string | null;
};

export type WorkerRow = {
  readonly id: string;
  readonly session_id: string;
  readonly name: string;
  readonly pool: string;
  readonly provider: string;
  readonly profile: string;
  readonly shapes: readonly string[];
  readonly life: number;
  /** Device memory, as it last said. */
  readonly memory_bytes: number;
};

export type ArtifactRow = {
  readonly sha256: string;
  readonly size_bytes: number;
  readonly is_stored: boolean;
  readonly announced_at: string;
  readonly condemned_at: string | null;
};

export type CheckpointRow = {
  readonly task_id: number;
  readonly attempt_id: string;
  readonly step: number;
  readonly sha256: string;
  readonly profile: string;
};

export type UploadRow = { readonly tenant_id: string; readonly sha256: string };
export type UploadPartRow = { readonly upload_id: string; readonly sha256: string };

export type EventRow = {
  readonly job_id: string;
  readonly number: number;
  readonly at: string;
  readonly kind: string;
  readonly stage: string;
  readonly task_id: number;
  readonly worker_name: string;
  readonly message: string;
  readonly job_state: string | null;
  readonly render_position: number | null;
};

export type UsageRow = {
  readonly attempt_id: string;
  readonly task_id: number;
  readonly tenant_id: string;
  readonly disposition: string;
  readonly device_ms: number;
};

export type WebhookRow = { readonly job_id: string; readonly url: string };

export type DeliveryRow = {
  readonly job_id: string;
  readonly event_number: number;
  readonly tries: number;
  readonly next_try_at: string | null;
  readonly delivered_at: string | null;
};

export type FarmRow = { readonly epoch: number };
export type ReadyRow = { readonly task_id: number; readonly pool: string; readonly shape: string; readonly priority: number };
export type CanaryRow = { readonly last_at: string; readonly unbroken_since: string };
export type HoldRow = { readonly scope: string; readonly name: string; readonly placed_at: string; readonly origin: string };
export type JobStopRow = { readonly job_id: string; readonly placed_at: string };
export type WaitingRow = { readonly job_id: string; readonly pool: string; readonly renders: number };
export type PreemptionRow = {
  readonly id: number;
  readonly attempt_id: string;
  readonly beneficiary_id: number;
  readonly worker_id: string;
  readonly closed_at: string | null;
};

/** Every table that a rule reads, as one moment saw it. */
export type Snapshot = {
  readonly farm: readonly FarmRow[];
  readonly job: readonly JobRow[];
  readonly render: readonly RenderRow[];
  readonly task: readonly TaskRow[];
  readonly task_user: readonly TaskUserRow[];
  readonly task_input: readonly TaskInputRow[];
  readonly task_output: readonly TaskOutputRow[];
  readonly ready: readonly ReadyRow[];
  readonly attempt: readonly AttemptRow[];
  readonly session: readonly SessionRow[];
  readonly worker: readonly WorkerRow[];
  readonly artifact: readonly ArtifactRow[];
  readonly task_checkpoint: readonly CheckpointRow[];
  readonly upload: readonly UploadRow[];
  readonly upload_part: readonly UploadPartRow[];
  readonly event: readonly EventRow[];
  readonly webhook: readonly WebhookRow[];
  readonly webhook_delivery: readonly DeliveryRow[];
  readonly usage: readonly UsageRow[];
  readonly canary: readonly CanaryRow[];
  readonly hold: readonly HoldRow[];
  readonly job_stop: readonly JobStopRow[];
  readonly waiting: readonly WaitingRow[];
  readonly preemption: readonly PreemptionRow[];
};
