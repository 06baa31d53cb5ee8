/**
 * What the rest of the coordinator asks of the store.
 *
 * Owns no code: only the questions, their outcomes and what each promises. Every write about a running
 * task carries its attempt id (the fence); `next`, `beat` and `report` are one named SQL statement each,
 * arrays in, one outcome per item out (design §9). All times are the database's clock.
 */
import type { FieldViolation } from "../../domain/errors.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { PlannedTask } from "../../domain/stage-graph.ts";
import type { TaskState } from "../../domain/task-state.ts";

export type JobClass = "production" | "benchmark";
export type Reuse = "all" | "inputs" | "none";
export type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled";
export type { TaskState };
export type Level = "wanted" | "unwanted" | "preempt" | "revoked";
export type Disposition = "committed" | "already_committed" | "superseded";

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

/** How many tasks became ready, for waking workers after the commit. */
export type ReadyCount = { readonly pool: string; readonly shape: string; readonly count: number };

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

export type UploadView = {
  readonly tenant: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly kind: "image" | "video";
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly mediaType: string;
};

export type WorkerDescription = {
  readonly workerId: string;
  readonly name: string;
  readonly host: string;
  readonly pool: string;
  readonly provider: string;
  readonly profile: string;
  readonly device: string;
  readonly memoryBytes: number;
  readonly models: readonly string[];
  /** Shapes that it can run, e.g. `denoise/<engine digest>`, `prepare/-`. */
  readonly shapes: readonly string[];
  readonly residentEngineDigests: readonly string[];
  readonly softwareVersion: string;
  /** Grows with each session of the worker; one that is not above the newest known is refused. */
  readonly life: number;
};

export type ProducedArtifact = ArtifactView;

export type AttemptReport = {
  readonly attemptId: string;
  readonly outcome:
    | {
        readonly kind: "success";
        readonly outputs: readonly ProducedArtifact[];
        readonly provider: string;
        readonly profile: string;
        readonly warnings: readonly WarningView[];
      }
    | {
        readonly kind: "failure";
        readonly code: string;
        readonly message: string;
        readonly abandoned: boolean;
        readonly badInputs: readonly string[];
      };
  readonly deviceMs: number;
  readonly loadMs: number;
  readonly computeMs: number;
  readonly fetchMs: number;
  readonly finishMs: number;
};

export type NextAsk = {
  readonly sessionId: string;
  readonly sequence: number;
  readonly farmEpoch: number;
  readonly worker: WorkerDescription;
  readonly heldAttemptIds: readonly string[];
  readonly freeSlots: number;
  readonly reports: readonly AttemptReport[];
  /** The session's last word: it ends as stopped, what it holds is given back uncharged. */
  readonly leaving: boolean;
};

export type ClaimView = {
  readonly taskId: number;
  readonly attemptId: string;
  readonly attemptNumber: number;
  readonly stage: string;
  readonly model: string;
  readonly engineDigests: Readonly<Record<string, string>>;
  /** StageParameters, encoded as protobuf JSON (canonical names), as stored in task.parameters. */
  readonly parameters: unknown;
  readonly inputs: readonly { readonly name: string; readonly sha256: string; readonly sizeBytes: number }[];
  readonly expectedMs: number;
  readonly jobIds: readonly string[];
};

export type ReportOutcome = {
  readonly attemptId: string;
  readonly disposition: Disposition;
  /** Stage of the attempt, for counting; absent when the attempt is not known. */
  readonly stage?: string | undefined;
};
export type LevelView = { readonly attemptId: string; readonly level: Level };
export type Refusal = { readonly kind: "refused"; readonly code: string; readonly message: string; readonly farmEpoch: number };

/** What changed that others should hear of after the commit. */
export type Aftermath = {
  readonly ready: readonly ReadyCount[];
  /** Jobs that got new event rows. */
  readonly touchedJobIds: readonly string[];
  /** Attempts that nobody wants any more: a job of theirs was cancelled or failed. */
  readonly pushes?: readonly LevelPush[];
};

export type NextOutcome =
  | Refusal
  | {
      readonly kind: "answered";
      /** Same sequence as before: the stored answer, nothing was changed. */
      readonly replayed: boolean;
      readonly farmEpoch: number;
      readonly leaseMs: number;
      readonly claim: ClaimView | undefined;
      readonly reportOutcomes: readonly ReportOutcome[];
      readonly levels: readonly LevelView[];
      /** Of the whole call, told with its first answer; the others' are empty. */
      readonly aftermath: Aftermath;
    };

export type ReportAsk = {
  readonly sessionId: string;
  readonly sequence: number;
  readonly farmEpoch: number;
  readonly reports: readonly AttemptReport[];
};

export type ReportAnswer =
  | Refusal
  | {
      readonly kind: "answered";
      readonly replayed: boolean;
      readonly farmEpoch: number;
      readonly reportOutcomes: readonly ReportOutcome[];
      readonly aftermath: Aftermath;
    };

export type BeatAsk = {
  readonly sessionId: string;
  readonly sequence: number;
  readonly farmEpoch: number;
  readonly attempts: readonly {
    readonly attemptId: string;
    readonly phase: "fetch" | "compute" | "finish";
    readonly step: number;
    readonly steps: number;
    /** Device time so far, for the books should no report come. */
    readonly deviceMs: number;
    /** Rows of these become (or stay) pending before the answer. */
    readonly announcedArtifacts: readonly ProducedArtifact[];
  }[];
};

export type BeatAnswer =
  | Refusal
  | {
      readonly kind: "answered";
      readonly farmEpoch: number;
      readonly leaseMs: number;
      readonly levels: readonly LevelView[];
    };

export type WorkerView = {
  readonly workerId: string;
  readonly name: string;
  readonly host: string;
  readonly pool: string;
  readonly provider: string;
  readonly profile: string;
  readonly device: string;
  readonly state: "idle" | "busy" | "lost" | "stopped";
  readonly lastBeatAt: Date | undefined;
  readonly models: readonly string[];
  readonly running: readonly {
    readonly taskId: number;
    readonly stage: string;
    readonly jobId: string;
    readonly step: number;
    readonly steps: number;
  }[];
};

/** An attempt that should hear a level at once. */
export type LevelPush = { readonly workerId: string; readonly attemptId: string; readonly level: Level };

export type QueueCount = { readonly pool: string; readonly stage: string; readonly state: TaskState; readonly count: number };

export type ReapOutcome = {
  readonly kind: "reaped" | "held_back" | "nothing";
  /** Why reaping was held back: beat path not proven, or too many lapsed at once. */
  readonly reason: string | undefined;
  readonly sessions: number;
  readonly attempts: number;
  /** True when much of a pool lapsed at once: raise an alert. */
  readonly massLapse: boolean;
  readonly aftermath: Aftermath;
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

/** Uploads and artifacts: rows first, bytes second (design §4.12). */
export type MediaStore = {
  /** Writes or refreshes the artifact row as pending, before its bytes are put. */
  announceUpload(artifact: { readonly sha256: string; readonly sizeBytes: number; readonly mediaType: string }): Promise<void>;
  commitUpload(upload: UploadView): Promise<void>;
  findUploads(tenant: string, sha256s: readonly string[]): Promise<readonly UploadView[]>;
  artifactOfJob(tenant: string, jobId: string, name: string): Promise<ArtifactView | undefined>;
};

/** Dispatch: what workers say and hear. */
export type DispatchStore = {
  next(asks: readonly NextAsk[]): Promise<readonly NextOutcome[]>;
  beat(asks: readonly BeatAsk[]): Promise<readonly BeatAnswer[]>;
  report(asks: readonly ReportAsk[]): Promise<readonly ReportAnswer[]>;
  /** Idle live workers of a pool that can run the shape, best fit first, at most `limit`. */
  idleWorkers(pool: string, shape: string, limit: number): Promise<readonly string[]>;
};

/**
 * What duties call on a timer; each is one transaction, safe to call twice, and does nothing under an epoch that is over.
 * A `dutyEpoch` is that of the duty's own row: `reaper`, `promotion`, `sweep`, `collection`, `prune`.
 */
export type DutyStore = {
  /** Takes or renews the row of a duty; undefined when another holder's time is not up. */
  holdDuty(name: string, holder: string, holdMs: number): Promise<{ readonly epoch: number } | undefined>;
  releaseDuty(name: string, holder: string): Promise<void>;
  /** The canary's beat arrived: `senderElapsedMs` since its last one by the sender's monotonic clock. */
  recordCanary(senderElapsedMs: number): Promise<{ readonly unbrokenMs: number }>;
  reap(dutyEpoch: number): Promise<ReapOutcome>;
  /** Delayed tasks whose back-off ended become ready. */
  promoteDelayed(dutyEpoch: number): Promise<Aftermath>;
  /** Finds and repairs what should never be (design §4.2); each find counts as a bug. */
  sweep(dutyEpoch: number): Promise<{ readonly repaired: number; readonly aftermath: Aftermath }>;
  unsentEvents(limit: number): Promise<readonly EventView[]>;
  markEventsSent(jobId: string, upToNumber: number): Promise<void>;
  /** Condemns unreferenced artifacts; returns those whose waiting time is over. */
  condemnArtifacts(dutyEpoch: number): Promise<readonly string[]>;
  /** Runs `remove` under the row lock if still unreferenced, then deletes the row. */
  collectArtifact(sha256: string, remove: () => Promise<void>): Promise<"collected" | "kept">;
  /** Deletes a batch of what its retention no longer keeps: stored answers, old sessions, sent events, usage, attempts. 0: none is left. */
  prune(dutyEpoch: number): Promise<number>;
};

export type OverviewStore = {
  listWorkers(): Promise<readonly WorkerView[]>;
  queueCounts(): Promise<readonly QueueCount[]>;
  /** Throws DATABASE_UNAVAILABLE when Postgres does not answer in time. */
  ping(): Promise<void>;
};

export type Store = JobStore & MediaStore & DispatchStore & DutyStore & OverviewStore & { close(): Promise<void> };
