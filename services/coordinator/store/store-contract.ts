/**
 * What the rest of the coordinator asks of the store, part by part.
 *
 * Owns no code: only the questions, their outcomes and what each promises. All times are the database's clock.
 */
import type { BenchStore } from "./bench-contract.ts";
import type { BooksStore } from "./books-contract.ts";
import type { ControlStore } from "./control-contract.ts";
import type { DispatchStore, TailStore } from "./dispatch-contract.ts";
import type { DutyStore } from "./duty-contract.ts";
import type { ExpansionStore } from "./expansion-contract.ts";
import type { FailureStore, HealthStore } from "./health-contract.ts";
import type { JobStore } from "./job-contract.ts";
import type { MeasureStore } from "./measure-contract.ts";
import type { MediaStore } from "./media-contract.ts";
import type { ModelStore } from "./model-contract.ts";
import type { OverviewStore } from "./overview-contract.ts";
import type { ScalingStore } from "./scaling-contract.ts";
import type { TenantStore } from "./tenant-contract.ts";
import type { TraceStore } from "./trace-contract.ts";
import type { PreemptionStore } from "./preemption-contract.ts";
import type { WebhookStore } from "./webhook-contract.ts";

export type * from "./aftermath-contract.ts";
export type * from "./bench-contract.ts";
export type * from "./books-contract.ts";
export type * from "./expansion-contract.ts";
export type * from "./job-contract.ts";
export type * from "./measure-contract.ts";
export type * from "./media-contract.ts";
export type * from "./model-contract.ts";
export type * from "./dispatch-contract.ts";
export type * from "./duty-contract.ts";
export type * from "./health-contract.ts";
export type * from "./overview-contract.ts";
export type * from "./control-contract.ts";
export type * from "./tenant-contract.ts";
export type * from "./trace-contract.ts";
export type * from "./preemption-contract.ts";
export type * from "./run-contract.ts";
export type * from "./scaling-contract.ts";
export type * from "./webhook-contract.ts";

export type Store = JobStore &
  MediaStore &
  ModelStore &
  DispatchStore &
  DutyStore &
  ExpansionStore &
  OverviewStore &
  ControlStore &
  TenantStore &
  HealthStore &
  FailureStore &
  PreemptionStore &
  BooksStore &
  BenchStore &
  MeasureStore &
  ScalingStore &
  TraceStore &
  TailStore &
  WebhookStore & { close(): Promise<void> };
