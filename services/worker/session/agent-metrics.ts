/**
 * What a worker counts.
 */
import type { Metrics } from "../../platform/metrics.ts";

export type AgentMetrics = {
  attemptEnded(stage: string, outcome: string): void;
  stageSeconds(stage: string, seconds: number): void;
  leaseLost(attempts: number): void;
  runtimeRestarted(): void;
  busy(isBusy: boolean): void;
  idleGap(seconds: number): void;
  /** Begun, or why not: revoked, given back, failed. */
  reservationEnded(outcome: string): void;
  checkpointEnded(outcome: string): void;
  checkpointSeconds(seconds: number): void;
  stopSeconds(level: string, seconds: number): void;
};

const stageBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1_800, 3_600];
const stopBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60];
const gapBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 10];

/** Registers the worker's metrics. */
export function createAgentMetrics(metrics: Metrics): AgentMetrics {
  const attempts = metrics.counter("vapfarm_worker_attempts_total", "Attempts by how they ended", ["stage", "outcome"]);
  const seconds = metrics.histogram({
    name: "vapfarm_worker_stage_seconds",
    help: "Seconds that a stage computed, loading apart",
    labels: ["stage"],
    buckets: stageBuckets,
  });
  const losses = metrics.counter("vapfarm_worker_lease_losses_total", "Attempts that were given to others while this worker held them");
  const restarts = metrics.counter("vapfarm_worker_runtime_restarts_total", "Stage runtimes started after another one ended");
  const busy = metrics.gauge("vapfarm_worker_busy", "1 while an attempt fetches or computes");
  const gap = metrics.histogram({
    name: "vapfarm_worker_idle_gap_seconds",
    help: "Seconds between two computes of a worker that had work waiting",
    buckets: gapBuckets,
  });
  const checkpoints = metrics.counter("vapfarm_worker_checkpoints_total", "Checkpoints that runs wrote, by what became of them", [
    "outcome",
  ]);
  const stood = metrics.counter("vapfarm_worker_checkpoint_seconds_total", "Seconds that runs stood still to write checkpoints");
  const reservations = metrics.counter("vapfarm_reservations_total", "Tasks reserved ahead, by what became of them", ["outcome"]);
  const stops = metrics.histogram({
    name: "vapfarm_stop_seconds",
    help: "Seconds from hearing that a run must stop until the device takes another, by what asked for it",
    labels: ["level"],
    buckets: stopBuckets,
  });
  return {
    attemptEnded: (stage, outcome) => attempts.inc({ stage, outcome }),
    stageSeconds: (stage, value) => seconds.observe({ stage }, value),
    leaseLost: (count) => losses.inc(count),
    runtimeRestarted: () => restarts.inc(),
    busy: (isBusy) => busy.set(isBusy ? 1 : 0),
    idleGap: (value) => gap.observe(value),
    reservationEnded: (outcome) => reservations.inc({ outcome }),
    checkpointEnded: (outcome) => checkpoints.inc({ outcome }),
    checkpointSeconds: (value) => stood.inc(value),
    stopSeconds: (level, value) => stops.observe({ level }, value),
  };
}
