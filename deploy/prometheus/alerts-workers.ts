/**
 * Whether workers live, are trusted, and are given the work that waits.
 */
import { type AlertGroup, farmWide, grew } from "./alert.ts";

const ready = farmWide("vapfarm_ready_tasks", "farm, pool");

/**
 * A pool that comes from zero: workers are desired, and its work has waited for less than twice what a worker takes to serve (600: the ten minutes
 * for which the alert must hold are part of that).
 */
const starting = `(max by (farm, pool) (vapfarm_pool_workers_desired) > 0
and max by (farm, pool) (vapfarm_oldest_ready_seconds) < 2 * max by (farm, pool) (vapfarm_pool_load_seconds) - 600)`;

export const queueAlerts: AlertGroup = {
  name: "vapfarm-queue",
  alerts: [
    {
      name: "VapfarmNoWorkerForWork",
      severity: "critical",
      expr: `${ready} > 0
unless ${farmWide('vapfarm_workers{state=~"idle|busy"}', "farm, pool")} > 0
unless ${starting}`,
      holds: "10m",
      summary: "Pool {{ $labels.pool }} has {{ $value | humanize }} ready tasks and no worker",
      description: "No live worker of the pool takes work: none started, all lapsed, cordoned or draining.",
    },
    {
      name: "VapfarmIdleWithWork",
      severity: "warning",
      expr: `${ready} > 0
and ${farmWide('vapfarm_workers{state="idle"}', "farm, pool")} > 0`,
      holds: "10m",
      summary: "Pool {{ $labels.pool }} has idle workers and {{ $value | humanize }} ready tasks",
      description:
        "The idle ones cannot or may not run what waits: a hold, a budget, memory, models or a quarantine; `vapfarm explain JOB` says which.",
    },
    {
      name: "VapfarmProductionWaits",
      severity: "critical",
      expr: 'max by (farm, pool) (vapfarm_oldest_ready_seconds{class="production"}) > 1800',
      holds: "5m",
      summary: "Production work of pool {{ $labels.pool }} has been ready for {{ $value | humanizeDuration }}",
      description: "Workers are too few, held back, or taken by what comes first.",
    },
    {
      name: "VapfarmBenchmarkWaits",
      severity: "warning",
      expr: 'max by (farm, pool) (vapfarm_oldest_ready_seconds{class="benchmark"}) > 21600',
      holds: "15m",
      summary: "Benchmark work of pool {{ $labels.pool }} has been ready for {{ $value | humanizeDuration }}",
      description: "Its floor (`VAPFARM_CLASS_FLOORS`) is too low for what was submitted, or the pool is too small.",
    },
    {
      name: "VapfarmQueueWaitLong",
      severity: "warning",
      expr: `histogram_quantile(0.95, sum by (farm, pool, le) (rate(vapfarm_wait_seconds_bucket{class="production"}[15m]))) > 300`,
      holds: "10m",
      summary: "One in twenty production tasks of pool {{ $labels.pool }} waits longer than {{ $value | humanizeDuration }}",
      description: "Over the last 15 min, from ready until a worker was given it.",
    },
    {
      name: "VapfarmDeviceTimeWasted",
      severity: "warning",
      expr: `sum by (farm, pool) (max by (farm, pool, outcome) (increase(vapfarm_device_seconds_total{outcome!="committed"}[1h])))
/ sum by (farm, pool) (max by (farm, pool, outcome) (increase(vapfarm_device_seconds_total[1h]))) > 0.25
and sum by (farm, pool) (max by (farm, pool, outcome) (increase(vapfarm_device_seconds_total[1h]))) > 20`,
      holds: "15m",
      summary: "{{ $value | humanizePercentage }} of pool {{ $labels.pool }}'s device time went into runs without a result",
      description: "Over the last hour; the panel “Device time without a result” says by outcome: failed, lost, returned, superseded.",
    },
  ],
};

export const workerAlerts: AlertGroup = {
  name: "vapfarm-workers",
  alerts: [
    {
      name: "VapfarmLeaseLosses",
      severity: "warning",
      expr: `${grew("vapfarm_lease_losses_total", "15m", "farm")} > 0`,
      holds: "0s",
      summary: "{{ $value | humanize }} workers were lost without a word",
      description: "Within 15 min. Their tasks run again elsewhere; a worker died, froze or was cut off.",
    },
    {
      name: "VapfarmMassLapse",
      severity: "critical",
      expr: `${grew("vapfarm_mass_lapses_total", "15m", "farm")} > 0`,
      holds: "0s",
      summary: "Much of a pool lapsed at once",
      description: "Only a tenth of it is reaped at a time. The cause is more likely NATS or the network than so many machines.",
    },
    {
      name: "VapfarmReapingHeldBack",
      severity: "warning",
      expr: "sum by (farm) (rate(vapfarm_reap_held_back_total[5m])) > 0.3",
      holds: "2m",
      summary: "Workers have lapsed and are not reaped",
      description:
        "The beat path is not proven for a full lease: the canary is silent or broken off again and again. What lapsed workers held waits.",
    },
    {
      name: "VapfarmWorkerSuspended",
      severity: "warning",
      expr: `${farmWide('vapfarm_workers_suspended{state="suspended"}', "farm, pool")} > 0`,
      holds: "1m",
      summary: "{{ $value | humanize }} workers of pool {{ $labels.pool }} are suspended for their failures",
      description: "They failed what succeeded elsewhere; `vapfarm workers show NAME` says what.",
    },
    {
      name: "VapfarmSuspensionsHeldBack",
      severity: "critical",
      expr: "max by (farm) (vapfarm_worker_suspensions_held_back) > 0",
      holds: "0s",
      summary: "{{ $value | humanize }} workers would be suspended, were they not the last half of their pool",
      description: "So many fail alike that they share a cause: a release, a model, a driver, the artifact store.",
    },
    {
      name: "VapfarmEngineQuarantined",
      severity: "warning",
      expr: `${farmWide("vapfarm_engines_quarantined", "farm, pool")} > 0`,
      holds: "1m",
      summary: "{{ $value | humanize }} engines of pool {{ $labels.pool }} are shut on a worker",
      description: "They failed to load or to run there; the worker's other engines go on.",
    },
    {
      name: "VapfarmRuntimeRestarts",
      severity: "warning",
      expr: `${grew("vapfarm_worker_runtime_restarts_total", "30m", "farm, pool, instance")} > 3`,
      holds: "0s",
      summary: "The runtime of {{ $labels.instance }} was started again {{ $value | humanize }} times",
      description: "Within 30 min: it dies, or is killed because it stands still. Look at the device.",
    },
    {
      name: "VapfarmWorkerNotReady",
      severity: "warning",
      expr: "vapfarm_worker_ready == 0",
      holds: "20m",
      summary: "Worker {{ $labels.instance }} of pool {{ $labels.pool }} does not become ready",
      description: "Its models do not load, or its runtime does not answer.",
    },
    {
      name: "VapfarmWorkerCallsFail",
      severity: "warning",
      expr: `sum by (farm, instance) (rate(vapfarm_worker_request_seconds_count{code!="OK"}[5m]))
/ sum by (farm, instance) (rate(vapfarm_worker_request_seconds_count[5m])) > 0.2`,
      holds: "5m",
      summary: "{{ $value | humanizePercentage }} of the requests of worker {{ $labels.instance }} fail",
      description: "Its path to a coordinator through NATS is broken or slow; runs go on, their leases do not.",
    },
    {
      name: "VapfarmCheckpointsFail",
      severity: "warning",
      expr: `${grew('vapfarm_worker_checkpoints_total{outcome="failed"}', "30m", "farm, pool")} > 2`,
      holds: "0s",
      summary: "{{ $value | humanize }} checkpoints of pool {{ $labels.pool }} could not be kept",
      description: "Runs go on; one that is lost now begins further back. Look at the artifact store, then at the scratch disk.",
    },
    {
      name: "VapfarmArtifactStoreErrors",
      severity: "critical",
      expr: `${grew('vapfarm_artifact_seconds_count{code=~"ARTIFACT_STORE_UNAVAILABLE|ARTIFACT_CORRUPT|INTERNAL"}', "15m", "farm, backend, operation")} > 2`,
      holds: "0s",
      summary: "{{ $value | humanize }} operations “{{ $labels.operation }}” of the artifact store ({{ $labels.backend }}) failed",
      description: "Within 15 min. Workers hold what they computed and try again; uploads are refused.",
    },
  ],
};
