/**
 * What the files that build a coordinator share: its options, its intervals, and the parts that others are built from.
 */
import { join } from "node:path";
import type { Network } from "../platform/fetch/guarded-request.ts";
import type { Logger } from "../platform/logging.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Sampler } from "../platform/sample.ts";
import type { Tracing } from "./app-tracing.ts";
import type { CoordinatorConfig } from "./config.ts";
import type { Announcer } from "./dispatch/announcer.ts";
import type { WatchHub } from "./events/watch-hub.ts";
import type { CoordinatorMetrics } from "./metrics.ts";
import type { Resources } from "./resources.ts";

/** How often what happens by itself happens; tests shorten it. */
export type Timings = {
  readonly canaryMs: number;
  readonly reapMs: number;
  readonly promotionMs: number;
  readonly preemptionMs: number;
  readonly deadlinesMs: number;
  readonly expandMs: number;
  readonly sweepMs: number;
  readonly orderMs: number;
  readonly relayMs: number;
  readonly collectionMs: number;
  readonly pruneMs: number;
  readonly dutyHoldMs: number;
  readonly watchPollMs: number;
  readonly webhookMs: number;
  readonly healthMs: number;
  readonly budgetMs: number;
  readonly booksMs: number;
  readonly setScoresMs: number;
  /** What metrics read of the store is at least so old before it is read again. */
  readonly sampleMs: number;
  readonly scalingMs: number;
  readonly tailsMs: number;
};

/** The farm's own. */
export const defaultTimings: Timings = {
  canaryMs: 1_000,
  reapMs: 1_000,
  promotionMs: 500,
  preemptionMs: 1_000,
  deadlinesMs: 2_000,
  expandMs: 1_000,
  sweepMs: 30_000,
  orderMs: 5_000,
  relayMs: 1_000,
  collectionMs: 60_000,
  pruneMs: 600_000,
  dutyHoldMs: 10_000,
  watchPollMs: 2_000,
  webhookMs: 1_000,
  healthMs: 2_000,
  budgetMs: 1_000,
  booksMs: 300_000,
  setScoresMs: 10_000,
  sampleMs: 5_000,
  scalingMs: 5_000,
  tailsMs: 2_000,
};

export type CoordinatorOptions = {
  readonly config: CoordinatorConfig;
  readonly resources: Resources;
  readonly logger: Logger;
  readonly timings?: Partial<Timings>;
  /** How the outside is reached; the system's when absent. */
  readonly network?: Network;
};

/** What duties and services are built from. */
export type Parts = Omit<CoordinatorOptions, "timings"> & {
  readonly timings: Timings;
  readonly tracing: Tracing;
  readonly registry: Metrics;
  readonly sampler: Sampler;
  readonly metrics: CoordinatorMetrics;
  readonly hub: WatchHub;
  readonly announcer: Announcer;
  /** Names this coordinator among those that share the duties. */
  readonly holder: string;
};

/** The compiled protos, for reflection and JSON. */
export const descriptors = join(import.meta.dirname, "../gen/farm.binpb");
