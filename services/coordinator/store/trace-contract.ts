/**
 * What tracing asks of the store: whose trace an attempt or a render belongs to, and all that is known of a render that has ended. Read only
 * where the farm traces.
 */
import type { RenderState } from "../../domain/render-state.ts";
import type { JobClass } from "./job-contract.ts";

/** A render, as far as its trace's id goes. */
export type TraceOwner = {
  readonly jobId: string;
  readonly position: number;
  /** Of the job. */
  readonly renders: number;
  /** Where the job's caller stood. */
  readonly traceparent: string | undefined;
};

export type AttemptOwner = TraceOwner & { readonly attemptId: string; readonly taskId: number };

/** Times in ms since 1970, by the database's clock. */
export type TracedAttempt = {
  readonly attemptId: string;
  readonly number: number;
  readonly state: string;
  readonly startedMs: number;
  /** Undefined while it runs. */
  readonly endedMs: number | undefined;
  /** When its device began it; undefined: it never did. */
  readonly beganMs: number | undefined;
  readonly workerName: string;
  readonly provider: string | undefined;
  readonly code: string | undefined;
  readonly loadMs: number;
  readonly computeMs: number;
  readonly deviceMs: number;
};

export type TracedTask = {
  readonly taskId: number;
  readonly stage: string;
  readonly label: string;
  readonly pool: string;
  readonly model: string;
  readonly createdMs: number;
  /** When its first attempt could have begun. */
  readonly readyMs: number;
  /** The first render that used it: its trace has the attempts. */
  readonly owner: TraceOwner;
  readonly attempts: readonly TracedAttempt[];
};

export type TracedRender = TraceOwner & {
  readonly state: RenderState;
  readonly code: string | undefined;
  readonly model: string;
  readonly pool: string;
  readonly tenant: string;
  readonly jobClass: JobClass;
  readonly createdMs: number;
  readonly endedMs: number;
  /** When an earlier life of it had ended, where it was tried again. */
  readonly earlierEndMs: number | undefined;
  readonly tasks: readonly TracedTask[];
};

/** Reads for traces. */
export type TraceStore = {
  /** Attempts that are not known are left out. */
  attemptOwners(attemptIds: readonly string[]): Promise<readonly AttemptOwner[]>;
  /** A job's render at a position; without one, the only render of a job of one. */
  renderOwner(jobId: string, position: number | undefined): Promise<TraceOwner | undefined>;
  /** Undefined unless it has ended. */
  tracedRender(jobId: string, position: number): Promise<TracedRender | undefined>;
};
