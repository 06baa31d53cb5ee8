/**
 * What clients ask of the store about jobs.
 */
import type { FieldViolation } from "../../domain/errors.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { PlannedTask } from "../../domain/stage-graph.ts";
import type { TaskState } from "../../domain/task-state.ts";
import type { Aftermath, LevelPush, ReadyCount } from "./aftermath-contract.ts";

export type JobClass = "production" | "benchmark";

export type Reuse = "all" | "inputs" | "none";

export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

export type { TaskState };

export type SubmitJob = {
  readonly jobId: string;
  readonly tenant: string;
  readonly idempotencyKey: string | undefined;
  /** SHA-256 of the canonical body, to tell a repeat from a conflict; hex. */
  readonly bodyDigest: string;
  readonly jobClass: JobClass;
  readonly priority: number;
  readonly deadline: Date | undefined;
  readonly reuse: Reuse;
  readonly render: RenderSpec;
  readonly modelWeights: string;
  readonly fps: number;
  /** In dependency order; keys computed by domain/content-key. */
  readonly tasks: readonly PlannedTask[];
};

export type SubmitOutcome =
  | { readonly kind: "stored"; readonly job: JobView; readonly ready: readonly ReadyCount[] }
  | { readonly kind: "repeated"; readonly job: JobView }
  | { readonly kind: "conflict" }
  | { readonly kind: "invalid"; readonly fields: readonly FieldViolation[] };

export type WarningView = { readonly code: string; readonly message: string };

export type ArtifactView = { readonly name: string; readonly sha256: string; readonly sizeBytes: number; readonly mediaType: string };

export type TaskView = {
  readonly taskId: number;
  readonly stage: string;
  readonly label: string;
  readonly state: TaskState;
  readonly attempts: number;
  readonly workerName: string | undefined;
  readonly computeMs: number;
  readonly loadMs: number;
  readonly provider: string | undefined;
  readonly profile: string | undefined;
  readonly reused: boolean;
};

export type JobView = {
  readonly jobId: string;
  readonly tenant: string;
  readonly state: JobState;
  readonly jobClass: JobClass;
  readonly priority: number;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
  readonly render: RenderSpec;
  readonly tasks: readonly TaskView[];
  readonly artifacts: readonly ArtifactView[];
  readonly warnings: readonly WarningView[];
  readonly failure: { readonly code: string; readonly message: string; readonly stage: string } | undefined;
  readonly lastEventNumber: number;
  readonly modelWeights: string;
  readonly fps: number;
};

export type EventView = {
  readonly jobId: string;
  readonly number: number;
  readonly at: Date;
  readonly kind: string;
  readonly stage: string;
  readonly taskId: number;
  readonly workerName: string;
  readonly message: string;
  readonly jobState: JobState | undefined;
  readonly computeMs: number;
};

/** Jobs: what clients submit and read. */
export type JobStore = {
  submitJob(job: SubmitJob): Promise<SubmitOutcome>;
  /** The job that this idempotency key of the tenant made, so that a repeat is answered before anything is checked anew. */
  findSubmitted(tenant: string, idempotencyKey: string): Promise<{ readonly jobId: string; readonly bodyDigest: string } | undefined>;
  getJob(tenant: string, jobId: string): Promise<JobView | undefined>;
  /** In order of number, at most `limit`. */
  listEvents(jobId: string, afterNumber: number, limit: number): Promise<readonly EventView[]>;
  /** Idempotent; undefined when the tenant has no such job. */
  cancelJob(
    tenant: string,
    jobId: string,
  ): Promise<{ readonly job: JobView; readonly pushes: readonly LevelPush[]; readonly aftermath: Aftermath } | undefined>;
};
