/**
 * What benchmarks ask of the store: suites and their rows, runs of them and what their clips score.
 *
 * Suites are a tenant's own; runs are found as their jobs are. What is removed with its job is as if it had never been.
 */
import type { SuiteRow } from "../../domain/suite-rules.ts";
import type { MetricName } from "../../domain/vbench/metric.ts";
import type { FailureView, JobState, RenderCounts, RenderState, Reuse, TenantScope } from "./job-contract.ts";
import type { RunToStore } from "./run-contract.ts";

export type SuiteKind = { readonly kind: string; readonly rows: number };

/** A suite as it was first imported. */
export type SuiteView = {
  readonly suiteId: string;
  readonly name: string;
  readonly rowCount: number;
  /** By name. */
  readonly kinds: readonly SuiteKind[];
  readonly createdAt: Date;
};

/** A suite whose rows come in parts, in order of position. */
export type SuiteToStore = Omit<SuiteView, "createdAt"> & {
  readonly tenant: string;
  /** Begins at the first part each time that it is called. */
  readonly parts: () => AsyncIterable<readonly SuiteRow[]>;
};

/** A clip of a row that the tenant has not (any more); the field is relative to the row. */
export type MissingClip = { readonly position: number; readonly line: number; readonly field: string; readonly sha256: string };

export type SuiteOutcome =
  | { readonly kind: "stored" | "existed"; readonly suite: SuiteView }
  /** Nothing was stored. */
  | { readonly kind: "invalid"; readonly missing: readonly MissingClip[] };

/** The last of a page, the newest first: microseconds since 1970 as text, and its id. */
export type NewestCursor = { readonly createdAtUs: string; readonly id: string };

export type Page<T> = { readonly found: readonly T[]; readonly next: NewestCursor | undefined };

/** Suites: all rows are stored or none; neither a statement nor this process holds them whole. */
export type SuiteStore = {
  /** The same rows are the same suite: the first import's name stays. */
  importSuite(suite: SuiteToStore): Promise<SuiteOutcome>;
  /** By id alone where that is whole; else by the beginning of the id (hex) or by name, at most `limit`, the newest first. */
  findSuites(tenant: string, named: string, limit: number): Promise<readonly SuiteView[]>;
  listSuites(ask: { readonly tenant: string; readonly after: NewestCursor | undefined; readonly limit: number }): Promise<Page<SuiteView>>;
  /** Those at the positions, in order of position. */
  suiteRows(tenant: string, suiteId: string, positions: readonly number[]): Promise<readonly SuiteRow[]>;
};

export type RunView = Omit<RunToStore, "rows"> & {
  /** The job's id. */
  readonly runId: string;
  readonly tenant: string;
  readonly suiteName: string;
  readonly reuse: Reuse;
  readonly state: JobState;
  readonly renderCounts: RenderCounts;
  readonly createdAt: Date;
  readonly endedAt: Date | undefined;
  /** One for each metric of each render. Those of a render that has ended have, whatever became of them. */
  readonly scoreCount: number;
  readonly endedScores: number;
};

/** A value as it was stored. */
export type ScoreValue = {
  readonly status: "ok" | "nan" | "skipped";
  readonly value: number | null;
  readonly reason: string;
  readonly vbenchValue: number | null;
  readonly metricVersion: number;
  readonly variant: string;
  readonly modelDigest: string;
  readonly decodeProfile: string;
  readonly frames: number;
  readonly fpsNumerator: number;
  readonly fpsDenominator: number;
  readonly width: number;
  readonly height: number;
  readonly extra: Readonly<Record<string, number | string | boolean>>;
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[];
};

/** A score task of a render: how it ended, and what it came to. */
export type ScoreTask = {
  readonly metric: MetricName;
  readonly outcome:
    | { readonly kind: "value"; readonly value: ScoreValue }
    | { readonly kind: "open" }
    /** Ended without a value; empty code: it was cancelled. */
    | { readonly kind: "failed"; readonly code: string; readonly message: string };
};

export type StageTime = { readonly stage: string; readonly computeMs: number; readonly loadMs: number; readonly isReused: boolean };

/** A render of a run. */
export type RunItemView = {
  readonly position: number;
  readonly row: SuiteRow;
  readonly seedIndex: number;
  readonly seed: bigint;
  readonly state: RenderState;
  readonly failure: FailureView | undefined;
  /** Of the mp4. */
  readonly videoSha256: string | undefined;
  /** By metric's name. None while the render waits. */
  readonly scores: readonly ScoreTask[];
  /** Of the attempts that succeeded, by stage's name. */
  readonly stages: readonly StageTime[];
};

export type RunItemsAsk = {
  readonly runId: string;
  readonly afterPosition: number | undefined;
  readonly limit: number;
  readonly withSeries: boolean;
};

/** What a set's score is computed from: the clips that have a value of the metric, all lists in the same order. */
export type MetricClips = {
  readonly metric: MetricName;
  /** Clips whose score ended without a value. */
  readonly missing: number;
  readonly values: readonly number[];
  /** What the metric told of each clip; null where it told no such number. */
  readonly facts: Readonly<Record<"cnt_per_video" | "video_sim" | "pairs" | "frames", readonly (number | null)[]>>;
};

export type StoredSetScore = {
  readonly metric: MetricName;
  readonly aggregator: "video_mean" | "frame_weighted";
  readonly value: number | undefined;
  readonly count: number;
  readonly missingCount: number;
};

export type RunListAsk = {
  readonly tenant: string;
  readonly suiteId: string | undefined;
  readonly after: NewestCursor | undefined;
  readonly limit: number;
};

/** A run that has ended. */
export type EndedRun = Pick<RunView, "runId" | "metrics"> & { readonly endedAt: Date };

/** Runs, as jobs of a suite. */
export type RunStore = {
  /** Those of the scope whose id begins so, at most `limit`. */
  findRuns(scope: TenantScope, idBegin: string, limit: number): Promise<readonly RunView[]>;
  listRuns(ask: RunListAsk): Promise<Page<RunView>>;
  /** In order of position. One statement, however many. */
  listRunItems(ask: RunItemsAsk): Promise<readonly RunItemView[]>;
  /** Every score of the run's clips that has ended, by metric, render by render. */
  clipScores(runId: string): Promise<readonly MetricClips[]>;
  /** Of a run that has had this end and no other since; what was stored under the same names is replaced. */
  storeSetScores(run: Pick<EndedRun, "runId" | "endedAt">, scores: readonly StoredSetScore[]): Promise<void>;
  /** Those with metrics whose set scores are not stored, or are of an end before a retry; the first that ended first. */
  unscoredRuns(limit: number): Promise<readonly EndedRun[]>;
  /** Removes set scores of runs that are open again. */
  dropStaleSetScores(): Promise<void>;
};

/** What was read of a results file at its import. */
export type ImportedSummary = {
  readonly dimensions: readonly { readonly dimension: string; readonly value: number | null; readonly count: number }[];
  readonly remarks: readonly string[];
};

export type ImportedResultsView = {
  readonly name: string;
  readonly sha256: string;
  readonly importedAt: Date;
  readonly summary: ImportedSummary;
};

export type StoredVote = {
  readonly voter: string;
  readonly trial: string;
  readonly question: "alignment" | "quality";
  readonly methods: readonly string[];
  readonly choice: string;
};

/** Names of results files that a tenant may have, and as many of votes: what a list of them can be. */
export const mostNames = 1_000;

/** Files and votes of others; an import under a name replaces what was there. */
export type ImportStore = {
  /** Undefined: the name would be one more than `mostNames`. */
  importResults(
    tenant: string,
    results: Omit<ImportedResultsView, "importedAt"> & { readonly text: string },
  ): Promise<ImportedResultsView | undefined>;
  /** By name; without remarks. */
  listResults(tenant: string): Promise<readonly ImportedResultsView[]>;
  getResults(tenant: string, name: string): Promise<(ImportedResultsView & { readonly text: string }) | undefined>;
  /** Full: the name would be one more than `mostNames`, and nothing was stored. */
  importVotes(tenant: string, name: string, votes: readonly StoredVote[]): Promise<"stored" | "full">;
  /** In order of voter, trial and question; empty: there are none under the name. */
  listVotes(tenant: string, name: string): Promise<readonly StoredVote[]>;
};

export type BenchStore = SuiteStore & RunStore & ImportStore;
