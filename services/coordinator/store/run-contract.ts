/**
 * What makes a job a benchmark run.
 */
import type { MetricName } from "../../domain/vbench/metric.ts";

/** What makes a job a run; stored with it in one transaction. */
export type RunToStore = {
  readonly suiteId: string;
  readonly label: string;
  readonly model: string;
  readonly modelDigest: string;
  readonly hasTrainedWeights: boolean;
  /** Empty: nothing is scored. */
  readonly metricsModel: string;
  readonly hasTrainedMetrics: boolean;
  readonly metrics: readonly MetricName[];
  readonly seeds: number;
  readonly panels: boolean;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly settingsDigest: string;
  /** Positions of the suite's rows: the job has `seeds` renders for each, one row after the other. */
  readonly rows: readonly number[];
};
