/**
 * What people and metrics ask of the store.
 */
import type { TaskState } from "../../domain/task-state.ts";
import type { HealthState } from "../../domain/worker-health.ts";
import type { TenantScope } from "./job-contract.ts";

export type WorkerState = "idle" | "busy" | "draining" | "lost" | "stopped";

export type CordonView = {
  readonly reason: string;
  readonly placedBy: string;
  readonly placedAt: Date;
  readonly drainAt: Date | undefined;
};

/** What is held against a worker. */
export type WorkerHealthView = {
  readonly state: HealthState;
  readonly reason: string;
  /** Undefined: never judged. */
  readonly since: Date | undefined;
  readonly endsAt: Date | undefined;
  readonly spells: number;
  readonly quarantines: readonly {
    readonly shape: string;
    readonly endsAt: Date;
    readonly failures: number;
    readonly code: string;
    readonly message: string;
  }[];
};

export type RunningView = {
  readonly taskId: number;
  readonly stage: string;
  /** "" when the scope may see none of the jobs that want it. */
  readonly jobId: string;
  readonly renderPosition: number;
  readonly phase: string;
  readonly step: number;
  readonly steps: number;
  /** Since the attempt began. */
  readonly elapsedMs: number;
};

export type WorkerView = {
  readonly workerId: string;
  readonly name: string;
  readonly host: string;
  readonly pool: string;
  readonly provider: string;
  readonly profile: string;
  readonly device: string;
  readonly state: WorkerState;
  readonly lastBeatAt: Date | undefined;
  readonly models: readonly string[];
  /** What it can run. */
  readonly shapes: readonly string[];
  readonly softwareVersion: string;
  readonly memoryBytes: number;
  readonly cordon: CordonView | undefined;
  /** Undefined: nothing is held against it. */
  readonly health: WorkerHealthView | undefined;
  readonly running: readonly RunningView[];
};

export type QueueCount = { readonly pool: string; readonly stage: string; readonly state: TaskState; readonly count: number };

/** Open tasks of one pool and stage. */
export type StageQueueView = {
  readonly pool: string;
  readonly stage: string;
  readonly blocked: number;
  readonly ready: number;
  readonly running: number;
  readonly delayed: number;
  /** 0: none is ready. */
  readonly oldestReadyMs: number;
};

export type FarmView = {
  readonly name: string;
  readonly epoch: number;
  readonly openJobs: number;
  readonly queues: readonly StageQueueView[];
  readonly at: Date;
};

export type UsageKey = "tenant" | "stage" | "worker" | "outcome" | "day" | "job" | "pool";

export type UsageAsk = {
  readonly scope: TenantScope;
  readonly from: Date;
  readonly until: Date;
  readonly groupBy: readonly UsageKey[];
  readonly jobId: string | undefined;
  readonly limit: number;
};

export type UsageSum = {
  /** Values of `groupBy`, in its order. */
  readonly keys: readonly string[];
  readonly attempts: number;
  readonly deviceMs: number;
  readonly loadMs: number;
  readonly computeMs: number;
  readonly fetchMs: number;
  readonly finishMs: number;
  /** Of attempts whose result was not used. */
  readonly wastedDeviceMs: number;
  readonly costNanos: bigint;
};

/** The most expensive first; the total is of all, also of those that the limit leaves out. The currency is "" when the farm has none yet. */
export type UsageAnswer = { readonly rows: readonly UsageSum[]; readonly total: UsageSum; readonly currency: string };

export type OverviewStore = {
  /** A job that the scope may not see is not named. */
  listWorkers(scope: TenantScope): Promise<readonly WorkerView[]>;
  queueCounts(): Promise<readonly QueueCount[]>;
  farmOverview(scope: TenantScope): Promise<FarmView>;
  sumUsage(ask: UsageAsk): Promise<UsageAnswer>;
  /** Random bytes that all coordinators of the farm share, for signing addresses; made when first asked for. */
  signingKey(): Promise<Uint8Array>;
  /** Throws DATABASE_UNAVAILABLE when Postgres does not answer in time. */
  ping(): Promise<void>;
};
