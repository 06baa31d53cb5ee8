/**
 * What clients ask of the store about jobs.
 */
import type { FieldViolation } from "../../domain/errors.ts";
import type { JobState } from "../../domain/job-state.ts";
import type { RenderState } from "../../domain/render-state.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { PlannedTask } from "../../domain/planned-task.ts";
import type { TaskState } from "../../domain/task-state.ts";
import type { Aftermath, ReadyCount, ReusedCount } from "./aftermath-contract.ts";
import type { RunToStore } from "./run-contract.ts";

export type JobClass = "production" | "benchmark";

export type Reuse = "all" | "inputs" | "none";

export type { JobState, RenderState, TaskState };

/** Whose jobs a caller may see: one tenant's, or everybody's when undefined. */
export type TenantScope = string | undefined;

/** Where to tell of a job's end. */
export type WebhookTarget = { readonly url: string; /** Bytes of the signing key, base64. */ readonly secret: string };

/** One render of a job, planned. */
export type PlannedRender = {
  readonly render: RenderSpec;
  readonly modelWeights: string;
  readonly fps: number;
  /** What its model was when it was asked for; a render that waits is not made with another. */
  readonly modelDigest?: string;
  /** In dependency order; keys computed by domain/content-key. */
  readonly tasks: readonly PlannedTask[];
};

/** What a job is, whatever it renders. */
export type JobToStore = {
  readonly jobId: string;
  readonly tenant: string;
  readonly idempotencyKey: string | undefined;
  /** SHA-256 of the canonical body, to tell a repeat from a conflict; hex. */
  readonly bodyDigest: string;
  readonly jobClass: JobClass;
  readonly priority: number;
  readonly deadline: Date | undefined;
  readonly reuse: Reuse;
  readonly webhook: WebhookTarget | undefined;
  /** Where its caller stood in a trace of its own; absent where it said nothing, or the farm does not trace. */
  readonly traceparent?: string;
};

export type SubmitJob = JobToStore & {
  /** 1 to 1,000; a render's position is its index. */
  readonly renders: readonly PlannedRender[];
};

/** A render of a manifest: it is planned when the window of its pool has room for it. */
export type ManifestRender = Omit<PlannedRender, "tasks" | "modelDigest"> & { readonly modelDigest: string; readonly pool: string };

/** A job whose renders come in parts, in order of position. */
export type Manifest = JobToStore & {
  readonly renderTotal: number;
  /** Begins at the first part each time that it is called: a transaction that lost a race is run again. */
  readonly parts: () => AsyncIterable<readonly ManifestRender[]>;
  /** Makes the job a benchmark run, in the same transaction. */
  readonly run?: RunToStore;
};

/** An upload that a render names and the tenant has not (any more). */
export type MissingUpload = { readonly position: number; readonly violation: FieldViolation };

/** Too much waits already: nothing was stored. */
export type Full = {
  readonly kind: "full";
  /** E.g. "waiting renders of the tenant". */
  readonly what: string;
  readonly most: number;
  /** An operator set it for this tenant. */
  readonly isOwnLimit?: boolean;
  /** These alone are more than that: waiting does not help. */
  readonly isFinal?: boolean;
};

export type SubmitOutcome =
  | {
      readonly kind: "stored";
      readonly job: JobView;
      readonly ready: readonly ReadyCount[];
      readonly isWaiting: boolean;
      readonly reused?: readonly ReusedCount[];
    }
  | { readonly kind: "repeated"; readonly job: JobView }
  | { readonly kind: "conflict" }
  | Full
  /** Nothing was stored. Fields are relative to the render: `image`, `references[1]`. */
  | { readonly kind: "invalid"; readonly missing: readonly MissingUpload[] };

export type WarningView = { readonly code: string; readonly message: string };

export type ArtifactView = { readonly name: string; readonly sha256: string; readonly sizeBytes: number; readonly mediaType: string };

export type TaskView = {
  readonly taskId: number;
  readonly stage: string;
  readonly label: string;
  readonly state: TaskState;
  readonly attempts: number;
  /** How often it made way for a task that comes first. */
  readonly preemptions: number;
  readonly workerName: string | undefined;
  readonly computeMs: number;
  readonly loadMs: number;
  readonly provider: string | undefined;
  readonly profile: string | undefined;
  readonly reused: boolean;
  /** Tasks of the same render whose outputs it takes. */
  readonly dependsOn: readonly number[];
};

export type FailureView = { readonly code: string; readonly message: string; readonly stage: string };

/** A render without its graph. */
export type RenderSummary = {
  readonly jobId: string;
  readonly position: number;
  readonly state: RenderState;
  readonly spec: RenderSpec;
  readonly endedAt: Date | undefined;
  readonly failure: FailureView | undefined;
  readonly modelWeights: string;
  readonly fps: number;
};

export type RenderView = RenderSummary & {
  readonly tasks: readonly TaskView[];
  /** Of a render that succeeded. */
  readonly artifacts: readonly ArtifactView[];
  /** The media that it starts from: `input_image`, `input_reference_1` .. . */
  readonly inputs: readonly ArtifactView[];
  readonly warnings: readonly WarningView[];
};

export type RenderCounts = Readonly<Record<RenderState | "total", number>>;

export type WebhookView = {
  readonly url: string;
  /** Of the job's last end; undefined while it has not ended. */
  readonly delivery:
    | {
        readonly eventNumber: number;
        readonly tries: number;
        readonly deliveredAt: Date | undefined;
        readonly nextTryAt: Date | undefined;
        readonly lastError: string;
      }
    | undefined;
};

/** How a job stands to its deadline. */
export type DeadlineStanding = "in_time" | "at_risk" | "missed";

/** A job as lists show it. */
export type JobSummary = {
  readonly jobId: string;
  readonly tenant: string;
  readonly state: JobState;
  readonly jobClass: JobClass;
  readonly priority: number;
  readonly deadline: Date | undefined;
  readonly deadlineStanding: DeadlineStanding | undefined;
  readonly reuse: Reuse;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
  readonly failure: FailureView | undefined;
  readonly lastEventNumber: number;
  readonly renderCounts: RenderCounts;
  readonly webhook: WebhookView | undefined;
  /** The render of a job of one. */
  readonly only: RenderSummary | undefined;
};

export type JobView = Omit<JobSummary, "only"> & {
  /** The render of a job of one, with its graph. */
  readonly only: RenderView | undefined;
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
  /** Undefined: about the job, or about a task that several of its renders share. */
  readonly renderPosition: number | undefined;
};

export type JobOrder = { readonly by: "create_time" | "end_time" | "priority"; readonly descending: boolean };

export type JobFilter = {
  readonly states: readonly JobState[];
  readonly jobClass: JobClass | undefined;
  readonly model: string | undefined;
  readonly createdAfter: Date | undefined;
  readonly createdBefore: Date | undefined;
  readonly idempotencyKey: string | undefined;
};

/** The last job of a page: where the next begins. `value` is the order's column as text (microseconds for times); null where it is empty. */
export type JobCursor = { readonly value: string | null; readonly jobId: string };

export type JobListAsk = {
  readonly scope: TenantScope;
  readonly filter: JobFilter;
  readonly order: JobOrder;
  readonly after: JobCursor | undefined;
  readonly limit: number;
};

export type JobPage = { readonly jobs: readonly JobSummary[]; readonly next: JobCursor | undefined };

export type RenderListAsk = {
  readonly scope: TenantScope;
  readonly jobId: string;
  readonly states: readonly RenderState[];
  /** Positions up to and including this are left out. */
  readonly afterPosition: number | undefined;
  readonly limit: number;
};

/** Absent fields stay as they are; a deadline of null is taken away. */
export type JobPatch = { readonly priority?: number; readonly deadline?: Date | null };

/** What a write left behind for others to hear. */
export type JobChange = { readonly job: JobView; readonly aftermath: Aftermath };

export type RetryOutcome =
  | { readonly kind: "retried"; readonly job: JobView; readonly renders: number; readonly aftermath: Aftermath }
  /** Every render that was named succeeded, or is open. */
  | { readonly kind: "nothing"; readonly job: JobView }
  /** Uploads that it starts from are gone. */
  | { readonly kind: "invalid"; readonly missing: readonly MissingUpload[] }
  /** It was planned for a pool that the farm has no more. */
  | { readonly kind: "pool_gone"; readonly pool: string };

export type UpdateOutcome = { readonly kind: "updated"; readonly job: JobView; readonly aftermath: Aftermath } | { readonly kind: "ended" };

/** Jobs: what clients submit, read and steer. A job outside the scope is undefined, as one that never was. */
export type JobStore = {
  /** Expands renders that fit into their pools' windows; others wait. */
  submitJob(job: SubmitJob): Promise<SubmitOutcome>;
  /** Stores all renders, or nothing; they wait for their pools' windows. */
  submitManifest(manifest: Manifest): Promise<SubmitOutcome>;
  /** The job that this idempotency key of the tenant made, so that a repeat is answered before anything is checked anew. */
  findSubmitted(tenant: string, idempotencyKey: string): Promise<{ readonly jobId: string; readonly bodyDigest: string } | undefined>;
  getJob(scope: TenantScope, jobId: string): Promise<JobView | undefined>;
  listJobs(ask: JobListAsk): Promise<JobPage>;
  getRender(scope: TenantScope, jobId: string, position: number): Promise<RenderView | undefined>;
  /** In order of position; undefined when there is no such job. */
  listRenders(ask: RenderListAsk): Promise<readonly RenderSummary[] | undefined>;
  /** In order of number, at most `limit`. */
  listEvents(jobId: string, afterNumber: number, limit: number): Promise<readonly EventView[]>;
  /** Idempotent: ends every open render (`position` undefined) or one; a position that the job has not is undefined too. */
  cancelJob(scope: TenantScope, jobId: string, position?: number): Promise<JobChange | undefined>;
  /** Runs failed and cancelled renders again: all of the job's, or one. Many wait for their pools' windows. */
  retryJob(scope: TenantScope, jobId: string, position?: number): Promise<RetryOutcome | undefined>;
  updateJob(scope: TenantScope, jobId: string, patch: JobPatch): Promise<UpdateOutcome | undefined>;
};
