/**
 * What metrics ask of the store at scrapes. Each is one snapshot; where nothing is, there is no row.
 */
import type { JobClass } from "./job-contract.ts";

/** Ready tasks of one pool and class. */
export type ReadyMeasure = {
  readonly pool: string;
  readonly jobClass: JobClass;
  readonly count: number;
  /** Device time that they are expected to take together; shapes that nothing is known of count 0. */
  readonly deviceMs: number;
  /** For how long the oldest has been ready. */
  readonly oldestMs: number;
};

export type JobMeasure = { readonly jobClass: JobClass; readonly state: "queued" | "running"; readonly count: number };

/** `lapsed`: the lease ran out within the last hour, and the worker did not come back. */
export type FleetState = "idle" | "busy" | "draining" | "cordoned" | "lapsed";

export type FleetMeasure = { readonly pool: string; readonly state: FleetState; readonly count: number };

/** The newest finished run of a suite and model with the same settings: what is measured otherwise is another number. */
export type ScoredRun = {
  /** The suite's name, cut, and the first digits of its id. */
  readonly suite: string;
  readonly model: string;
  /** Steps, guidance scale and seeds of a row, e.g. `steps 50, guidance 6, seeds 1`. */
  readonly settings: string;
  readonly endedAt: Date;
  /** Of metrics that have a number. */
  readonly scores: readonly { readonly metric: string; readonly aggregator: string; readonly value: number }[];
};

/** Connections to Postgres, by what they are kept for. */
export type ConnectionMeasure = {
  readonly purpose: "main" | "beats";
  readonly idle: number;
  readonly busy: number;
  /** Queries that wait for a connection. */
  readonly waiting: number;
};

export type MeasureStore = {
  readyMeasures(): Promise<readonly ReadyMeasure[]>;
  jobMeasures(): Promise<readonly JobMeasure[]>;
  fleetMeasures(): Promise<readonly FleetMeasure[]>;
  /** Those that ended last, at most `limit` of suite, model and settings, and five of a suite and model. */
  newestScores(limit: number): Promise<readonly ScoredRun[]>;
  /** Event rows that are not copied to JetStream, of at most 10,000 jobs. */
  unsentCount(): Promise<number>;
  connectionMeasures(): readonly ConnectionMeasure[];
};
