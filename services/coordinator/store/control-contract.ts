/**
 * What operators steer: holds, cordons and drains; and what is read to explain why a task waits.
 */
import type { ExplainFacts } from "../../domain/explain.ts";
import type { Aftermath, LevelPush } from "./aftermath-contract.ts";
import type { TenantScope } from "./job-contract.ts";
import type { WorkerView } from "./overview-contract.ts";

export type HoldScope = "farm" | "pool" | "tenant";

/** `name` is empty for the farm. */
export type HoldTarget = { readonly scope: HoldScope; readonly name: string };

export type HoldView = HoldTarget & {
  readonly reason: string;
  readonly placedBy: string;
  readonly placedAt: Date;
  readonly origin: "operator" | "budget";
};

/** Who steers, and why. */
export type Note = { readonly by: string; readonly reason: string };

/** Pushes tell running attempts at once; a level that is lost is told again by the next beat. */
export type WorkerChange = { readonly worker: WorkerView; readonly pushes: readonly LevelPush[]; readonly aftermath: Aftermath };

export type ControlStore = {
  /** Idempotent: an earlier hold keeps its time, the reason is the last. Claims skip what is held from this commit on. */
  placeHold(target: HoldTarget, note: Note): Promise<HoldView>;
  /** What can start again is in the aftermath; undefined when no person had placed such a hold. */
  releaseHold(target: HoldTarget): Promise<Aftermath | undefined>;
  listHolds(): Promise<readonly HoldView[]>;
  /** By id, or by a name that only one worker has. */
  getWorker(scope: TenantScope, idOrName: string): Promise<WorkerView | undefined>;
  /** Idempotent; takes a drain's time away. Undefined when there is no such worker. */
  cordonWorker(workerId: string, note: Note): Promise<WorkerChange | undefined>;
  /** Idempotent. What can start again is in the aftermath. */
  uncordonWorker(workerId: string): Promise<WorkerChange | undefined>;
  /** Cordons; attempts that still run `graceMs` from now get level `drain` (undefined: never). The last grace holds. */
  drainWorker(workerId: string, note: Note, graceMs: number | undefined): Promise<WorkerChange | undefined>;
  /** One snapshot: the job's open tasks (of one render, when a position is given) and what could run them. */
  explainFacts(scope: TenantScope, jobId: string, position: number | undefined): Promise<ExplainFacts | undefined>;
};
