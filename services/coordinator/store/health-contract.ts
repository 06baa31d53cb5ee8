/**
 * What is asked of the store about the health of workers, and about what failed for good.
 */
import type { HealthState } from "../../domain/worker-health.ts";
import type { Aftermath } from "./aftermath-contract.ts";
import type { WorkerChange } from "./control-contract.ts";
import type { MissingUpload, TenantScope } from "./job-contract.ts";

export type JudgedChange = {
  readonly workerId: string;
  readonly name: string;
  readonly pool: string;
  readonly state: HealthState;
  readonly reason: string;
  /** Of a suspension. */
  readonly forMs: number | undefined;
};

export type JudgeOutcome = {
  readonly changes: readonly JudgedChange[];
  /** Names of workers that would be suspended, were they not the last of their pool. */
  readonly heldBack: readonly string[];
  readonly aftermaths: readonly Aftermath[];
};

export type HealthCount = {
  readonly kind: "suspended" | "probation" | "quarantined" | "dead letters";
  readonly pool: string;
  readonly count: number;
};

export type HealthStore = {
  /** A duty (`health`): judges the workers by what they ended last, and suspends or brings back. */
  judgeWorkers(dutyEpoch: number): Promise<JudgeOutcome>;
  /** Idempotent: forgets what is held against the worker, and ends its quarantines. Undefined when there is no such worker. */
  clearWorker(workerId: string, by: string): Promise<WorkerChange | undefined>;
  /** For metrics; where nothing is, there is no row. */
  healthCounts(): Promise<readonly HealthCount[]>;
};

export type AttemptView = {
  readonly attemptId: string;
  readonly number: number;
  readonly workerId: string;
  readonly workerName: string;
  readonly state: "running" | "succeeded" | "failed" | "abandoned" | "lost";
  readonly code: string;
  readonly errorClass: string;
  readonly message: string;
  readonly startedAt: Date;
  readonly endedAt: Date | undefined;
  /** The runtime's last lines; undefined: unknown. */
  readonly logTail: string | undefined;
};

/** A task that failed for good, with what was tried. */
export type DeadLetterView = {
  readonly taskId: number;
  readonly tenant: string;
  readonly stage: string;
  readonly pool: string;
  readonly model: string;
  readonly code: string;
  readonly message: string;
  readonly endedAt: Date;
  /** The same in microseconds: its place in the list. */
  readonly endedMicros: string;
  readonly attempts: readonly AttemptView[];
  /** Failed renders that use it: the first of them, and how many there are. */
  readonly renders: readonly { readonly jobId: string; readonly position: number }[];
  readonly renderCount: number;
};

/** The last of a page: where the next begins. */
export type FailureCursor = Pick<DeadLetterView, "endedMicros" | "taskId">;

export type FailureListAsk = {
  readonly scope: TenantScope;
  readonly jobId: string | undefined;
  readonly pool: string | undefined;
  readonly code: string | undefined;
  readonly stage: string | undefined;
  readonly after: FailureCursor | undefined;
  readonly limit: number;
};

export type RetryTaskOutcome =
  | {
      readonly kind: "retried";
      readonly renders: number;
      /** Failed renders that use it still, because a call takes only so many. */
      readonly left: number;
      readonly jobIds: readonly string[];
      readonly aftermaths: readonly Aftermath[];
    }
  | { readonly kind: "nothing" }
  | { readonly kind: "invalid"; readonly missing: readonly MissingUpload[] }
  | { readonly kind: "pool_gone"; readonly pool: string };

export type FailureStore = {
  /** Newest first. `next` is where another page begins; undefined: there is none. */
  listFailures(ask: FailureListAsk): Promise<{ readonly failures: readonly DeadLetterView[]; readonly next: FailureCursor | undefined }>;
  /** Runs the failed renders that use a dead letter again, with a fresh generation of it. Undefined when the scope has no such task. */
  retryTask(scope: TenantScope, taskId: number): Promise<RetryTaskOutcome | undefined>;
};
