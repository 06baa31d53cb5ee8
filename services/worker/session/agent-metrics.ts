/**
 * What a worker counts of its attempts (deploy/METRICS.md). Stages and models are told by a coordinator: only those that this worker knows
 * make series.
 */
import { stageNames } from "../../domain/stage.ts";
import { knownOr, type Metrics, seriesOf, startAtZero } from "../../platform/metrics.ts";
import { type StopReason, stopMessages } from "./attempt-words.ts";
import type { Clock } from "./clock.ts";

/** A model that the worker holds, and the stages that have engines of it. */
export type ServedModel = { readonly name: string; readonly stages: readonly string[] };

export type AgentMetrics = {
  /** What the worker holds, once it knows: before, every model is `other`. */
  serves(models: readonly ServedModel[]): void;
  attemptEnded(stage: string, outcome: string): void;
  stageSeconds(stage: string, seconds: number): void;
  leaseLost(attempts: number): void;
  busy(isBusy: boolean): void;
  idleGap(seconds: number): void;
  /** Begun, or why not: revoked, given back, failed. */
  reservationEnded(outcome: "begun" | "revoked" | "given_back" | "failed"): void;
  checkpointEnded(outcome: "kept" | "superseded" | "failed"): void;
  checkpointSeconds(seconds: number): void;
  stopSeconds(level: StopReason, seconds: number): void;
  /** A run has the device until the returned function is called. */
  deviceTaken(stage: string): () => void;
  /** Denoise steps that a run has taken. */
  stepsTaken(model: string, steps: number): void;
  /** A run begins to open engines. */
  engineLoading(model: string, stage: string): void;
  /** For how long it opened them. */
  engineLoaded(of: { readonly model: string; readonly stage: string }, seconds: number): void;
};

const stageBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1_800, 3_600];
const stopBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60];
const gapBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 10];
const loadBuckets = [0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600];
const stages: ReadonlySet<string> = new Set(stageNames);
const stageOf = (stage: string): string => knownOr(stages, stage);

/** Registers them. */
export function createAgentMetrics(metrics: Metrics, clock: Pick<Clock, "nowMs">): AgentMetrics {
  return {
    ...createAttemptMetrics(metrics),
    ...createCheckpointMetrics(metrics),
    ...createStopMetrics(metrics),
    ...createDeviceMetrics(metrics, clock),
    ...createModelMetrics(metrics),
  };
}

function createAttemptMetrics(metrics: Metrics): Pick<AgentMetrics, "attemptEnded" | "stageSeconds" | "leaseLost" | "reservationEnded"> {
  const attempts = metrics.counter("vapfarm_worker_attempts_total", "Attempts by how they ended", ["stage", "outcome"]);
  const seconds = metrics.histogram({
    name: "vapfarm_worker_stage_seconds",
    help: "Seconds that a stage computed, loading apart",
    labels: ["stage"],
    buckets: stageBuckets,
  });
  const losses = metrics.counter("vapfarm_worker_lease_losses_total", "Attempts that were given to others while this worker held them");
  const reservations = metrics.counter("vapfarm_reservations_total", "Tasks reserved ahead, by what became of them", ["outcome"]);
  const outcomes = ["succeeded", "failed", "abandoned", "superseded"];
  startAtZero(attempts, seriesOf("stage", [...stages], seriesOf("outcome", outcomes)));
  startAtZero(seconds, seriesOf("stage", [...stages]));
  startAtZero(losses);
  startAtZero(reservations, seriesOf("outcome", ["begun", "revoked", "given_back", "failed"]));
  return {
    attemptEnded: (stage, outcome) => attempts.inc({ stage: stageOf(stage), outcome }),
    stageSeconds: (stage, value) => seconds.observe({ stage: stageOf(stage) }, value),
    leaseLost: (count) => losses.inc(count),
    reservationEnded: (outcome) => reservations.inc({ outcome }),
  };
}

function createCheckpointMetrics(metrics: Metrics): Pick<AgentMetrics, "checkpointEnded" | "checkpointSeconds"> {
  const checkpoints = metrics.counter("vapfarm_worker_checkpoints_total", "Checkpoints that runs wrote, by what became of them", [
    "outcome",
  ]);
  const stood = metrics.counter("vapfarm_worker_checkpoint_seconds_total", "Seconds that runs stood still to write checkpoints");
  startAtZero(checkpoints, seriesOf("outcome", ["kept", "superseded", "failed"]));
  startAtZero(stood);
  return { checkpointEnded: (outcome) => checkpoints.inc({ outcome }), checkpointSeconds: (value) => stood.inc(value) };
}

function createStopMetrics(metrics: Metrics): Pick<AgentMetrics, "stopSeconds"> {
  const stops = metrics.histogram({
    name: "vapfarm_stop_seconds",
    help: "Seconds from hearing that a run must stop until the device takes another, by what asked for it",
    labels: ["level"],
    buckets: stopBuckets,
  });
  startAtZero(stops, seriesOf("level", Object.keys(stopMessages)));
  return { stopSeconds: (level, value) => stops.observe({ level }, value) };
}

function createDeviceMetrics(metrics: Metrics, clock: Pick<Clock, "nowMs">): Pick<AgentMetrics, "busy" | "idleGap" | "deviceTaken"> {
  const busy = metrics.gauge("vapfarm_worker_busy", "1 while an attempt fetches or computes");
  const gap = metrics.histogram({
    name: "vapfarm_worker_idle_gap_seconds",
    help: "Seconds between two computes of a worker that had work waiting",
    buckets: gapBuckets,
  });
  return {
    busy: (isBusy) => busy.set(isBusy ? 1 : 0),
    idleGap: (value) => gap.observe(value),
    deviceTaken: createDeviceClock(metrics, clock),
  };
}

function createModelMetrics(metrics: Metrics): Pick<AgentMetrics, "serves" | "stepsTaken" | "engineLoading" | "engineLoaded"> {
  const steps = metrics.counter("vapfarm_worker_steps_total", "Denoise steps that were taken, by model", ["model"]);
  const labels = ["model", "stage"];
  const loads = metrics.counter("vapfarm_worker_engine_loads_total", "Runs that had to open engines", labels);
  const loadSeconds = metrics.histogram({
    name: "vapfarm_worker_engine_load_seconds",
    help: "Seconds for which runs opened engines",
    labels,
    buckets: loadBuckets,
  });
  let names: ReadonlySet<string> = new Set();
  const modelOf = (model: string): string => knownOr(names, model);
  return {
    serves(models) {
      names = new Set(models.map(({ name }) => name));
      for (const { name, stages: own } of models) {
        if (own.includes("denoise")) startAtZero(steps, [{ model: name }]);
        startAtZero(loads, seriesOf("stage", own, [{ model: name }]));
        startAtZero(loadSeconds, seriesOf("stage", own, [{ model: name }]));
      }
    },
    stepsTaken: (model, count) => steps.inc({ model: modelOf(model) }, count),
    engineLoading: (model, stage) => loads.inc({ model: modelOf(model), stage: stageOf(stage) }),
    engineLoaded: ({ model, stage }, value) => loadSeconds.observe({ model: modelOf(model), stage: stageOf(stage) }, value),
  };
}

/** Counts up to the moment of a scrape: a run of an hour is seen while it runs, not as an hour when it ends. */
function createDeviceClock(metrics: Metrics, clock: Pick<Clock, "nowMs">): AgentMetrics["deviceTaken"] {
  type Turn = { readonly stage: string; sinceMs: number };
  const turns = new Set<Turn>();
  const seconds = metrics.sampledCounter({
    name: "vapfarm_worker_device_seconds_total",
    help: "Seconds for which runs had the device, by stage",
    labels: ["stage"],
    sample: () => turns.forEach((turn) => count(turn)),
  });
  startAtZero(seconds, seriesOf("stage", [...stages]));
  const count = (turn: Turn): void => {
    const nowMs = clock.nowMs();
    seconds.inc({ stage: turn.stage }, Math.max(0, nowMs - turn.sinceMs) / 1_000);
    turn.sinceMs = nowMs;
  };
  return (stage) => {
    const turn = { stage: stageOf(stage), sinceMs: clock.nowMs() };
    turns.add(turn);
    return () => {
      if (turns.delete(turn)) count(turn);
    };
  };
}
