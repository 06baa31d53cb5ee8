/**
 * What people and metrics ask of the store.
 */
import type { TaskState } from "../../domain/task-state.ts";

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

export type QueueCount = { readonly pool: string; readonly stage: string; readonly state: TaskState; readonly count: number };

export type OverviewStore = {
  listWorkers(): Promise<readonly WorkerView[]>;
  queueCounts(): Promise<readonly QueueCount[]>;
  /** Throws DATABASE_UNAVAILABLE when Postgres does not answer in time. */
  ping(): Promise<void>;
};
