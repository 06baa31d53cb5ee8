import type { AlertCase } from "./alert-case.ts";

export const queueCases: readonly AlertCase[] = [
  {
    alert: "VapfarmNoWorkerForWork",
    fires: {
      series: {
        'vapfarm_ready_tasks{farm="f",instance="c1",pool="p",class="production"}': "3x30",
        'vapfarm_ready_tasks{farm="f",instance="c1",pool="p",class="benchmark"}': "4x30",
        'vapfarm_ready_tasks{farm="f",instance="c2",pool="p",class="production"}': "3x30",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="lapsed"}': "2x30",
        'vapfarm_workers{farm="f",instance="c1",pool="q",state="idle"}': "2x30",
      },
      at: "15m",
      labels: { farm: "f", pool: "p" },
      summary: "Pool p has 7 ready tasks and no worker",
    },
    quiet: {
      why: "its one worker is busy",
      series: {
        'vapfarm_ready_tasks{farm="f",instance="c1",pool="p",class="production"}': "3x30",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="busy"}': "1x30",
      },
      at: "15m",
    },
  },
  {
    alert: "VapfarmIdleWithWork",
    fires: {
      series: {
        'vapfarm_ready_tasks{farm="f",instance="c1",pool="p",class="production"}': "3x30",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="idle"}': "1x30",
      },
      at: "15m",
      labels: { farm: "f", pool: "p" },
      summary: "Pool p has idle workers and 3 ready tasks",
    },
    quiet: {
      why: "the idle ones are of another pool, and here each is busy",
      series: {
        'vapfarm_ready_tasks{farm="f",instance="c1",pool="p",class="production"}': "3x30",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="idle"}': "0x30",
        'vapfarm_workers{farm="f",instance="c1",pool="q",state="idle"}': "5x30",
      },
      at: "15m",
    },
  },
  {
    alert: "VapfarmProductionWaits",
    fires: {
      series: { 'vapfarm_oldest_ready_seconds{farm="f",instance="c1",pool="p",class="production"}': "0+60x60" },
      at: "40m",
      labels: { farm: "f", pool: "p" },
      summary: "Production work of pool p has been ready for 40m 0s",
    },
    quiet: {
      why: "a benchmark may wait so long",
      series: { 'vapfarm_oldest_ready_seconds{farm="f",instance="c1",pool="p",class="benchmark"}': "0+60x60" },
      at: "40m",
    },
  },
  {
    alert: "VapfarmBenchmarkWaits",
    pace: "15m",
    fires: {
      series: { 'vapfarm_oldest_ready_seconds{farm="f",instance="c1",pool="p",class="benchmark"}': "0+60x480" },
      at: "400m",
      labels: { farm: "f", pool: "p" },
      summary: "Benchmark work of pool p has been ready for 6h 30m 0s",
    },
    quiet: { why: "five hours", series: { 'vapfarm_oldest_ready_seconds{farm="f",pool="p",class="benchmark"}': "0+60x480" }, at: "300m" },
  },
  {
    alert: "VapfarmQueueWaitLong",
    fires: {
      series: {
        'vapfarm_wait_seconds_bucket{farm="f",pool="p",class="production",le="300"}': "0+1x60",
        'vapfarm_wait_seconds_bucket{farm="f",pool="p",class="production",le="1800"}': "0+10x60",
        'vapfarm_wait_seconds_bucket{farm="f",pool="p",class="production",le="+Inf"}': "0+10x60",
      },
      at: "40m",
      labels: { farm: "f", pool: "p" },
      summary: "One in twenty production tasks of pool p waits longer than 28m 36s",
    },
    quiet: {
      why: "one in fifty does",
      series: {
        'vapfarm_wait_seconds_bucket{farm="f",pool="p",class="production",le="300"}': "0+98x60",
        'vapfarm_wait_seconds_bucket{farm="f",pool="p",class="production",le="+Inf"}': "0+100x60",
      },
      at: "40m",
    },
  },
  {
    alert: "VapfarmDeviceTimeWasted",
    fires: {
      series: {
        'vapfarm_device_seconds_total{farm="f",instance="c1",pool="p",outcome="committed"}': "0+30x120",
        'vapfarm_device_seconds_total{farm="f",instance="c2",pool="p",outcome="committed"}': "0+30x120",
        'vapfarm_device_seconds_total{farm="f",instance="c1",pool="p",outcome="lost"}': "0+10x120",
        'vapfarm_device_seconds_total{farm="f",instance="c1",pool="p",outcome="returned"}': "0+10x120",
      },
      at: "100m",
      labels: { farm: "f", pool: "p" },
      summary: "40% of pool p's device time went into runs without a result",
    },
    quiet: {
      why: "nine tenths had a result, and in a pool that is hardly used a second was lost",
      series: {
        'vapfarm_device_seconds_total{farm="f",pool="p",outcome="committed"}': "0+90x120",
        'vapfarm_device_seconds_total{farm="f",pool="p",outcome="lost"}': "0+10x120",
        'vapfarm_device_seconds_total{farm="f",pool="q",outcome="committed"}': "0x120",
        'vapfarm_device_seconds_total{farm="f",pool="q",outcome="lost"}': "0x60 1x60",
      },
      at: "100m",
    },
  },
];

export const workerCases: readonly AlertCase[] = [
  {
    alert: "VapfarmLeaseLosses",
    fires: {
      series: { 'vapfarm_lease_losses_total{farm="f",instance="c1"}': "0x10 2x20" },
      at: "11m",
      labels: { farm: "f" },
      summary: "2 workers were lost without a word",
    },
    quiet: { why: "some, half an hour ago", series: { 'vapfarm_lease_losses_total{farm="f"}': "0x2 2x60" }, at: "40m" },
  },
  {
    alert: "VapfarmMassLapse",
    fires: {
      series: { 'vapfarm_mass_lapses_total{farm="f",instance="c1"}': "0x10 1x20" },
      at: "11m",
      labels: { farm: "f" },
      summary: "Much of a pool lapsed at once",
    },
    quiet: {
      why: "one worker lapsed",
      series: { 'vapfarm_mass_lapses_total{farm="f"}': "0x60", 'vapfarm_lease_losses_total{farm="f"}': "0x10 1x50" },
      at: "11m",
    },
  },
  {
    alert: "VapfarmReapingHeldBack",
    fires: {
      series: { 'vapfarm_reap_held_back_total{farm="f",instance="c1"}': "0+60x30" },
      at: "15m",
      labels: { farm: "f" },
      summary: "Workers have lapsed and are not reaped",
    },
    quiet: { why: "a coordinator started: a lease of rounds", series: { 'vapfarm_reap_held_back_total{farm="f"}': "0 15x30" }, at: "5m" },
  },
  {
    alert: "VapfarmWorkerSuspended",
    fires: {
      series: {
        'vapfarm_workers_suspended{farm="f",instance="c1",pool="p",state="suspended"}': "2x10",
        'vapfarm_workers_suspended{farm="f",instance="c2",pool="p",state="suspended"}': "2x10",
      },
      at: "5m",
      labels: { farm: "f", pool: "p" },
      summary: "2 workers of pool p are suspended for their failures",
    },
    quiet: { why: "it is on probation", series: { 'vapfarm_workers_suspended{farm="f",pool="p",state="probation"}': "1x10" }, at: "5m" },
  },
  {
    alert: "VapfarmSuspensionsHeldBack",
    fires: {
      series: { 'vapfarm_worker_suspensions_held_back{farm="f",instance="c1"}': "0 0 1x10" },
      at: "3m",
      labels: { farm: "f" },
      summary: "1 workers would be suspended, were they not the last half of their pool",
    },
    quiet: { why: "none", series: { 'vapfarm_worker_suspensions_held_back{farm="f",instance="c1"}': "0x10" }, at: "3m" },
  },
  {
    alert: "VapfarmEngineQuarantined",
    fires: {
      series: { 'vapfarm_engines_quarantined{farm="f",instance="c1",pool="p"}': "1x10" },
      at: "5m",
      labels: { farm: "f", pool: "p" },
      summary: "1 engines of pool p are shut on a worker",
    },
    quiet: { why: "for ten seconds", series: { 'vapfarm_engines_quarantined{farm="f",pool="p"}': "0 0 1 0x10" }, at: "3m" },
  },
  {
    alert: "VapfarmRuntimeRestarts",
    fires: {
      series: { 'vapfarm_worker_runtime_restarts_total{farm="f",pool="p",instance="w1"}': "0x9 5x10" },
      at: "11m",
      labels: { farm: "f", pool: "p", instance: "w1" },
      summary: "The runtime of w1 was started again 5 times",
    },
    quiet: {
      why: "two each",
      series: {
        'vapfarm_worker_runtime_restarts_total{farm="f",pool="p",instance="w1"}': "0x9 2x10",
        'vapfarm_worker_runtime_restarts_total{farm="f",pool="p",instance="w2"}': "0x9 2x10",
      },
      at: "11m",
    },
  },
  {
    alert: "VapfarmWorkerNotReady",
    fires: {
      series: { 'vapfarm_worker_ready{farm="f",pool="p",instance="w1"}': "0x40" },
      at: "30m",
      labels: { farm: "f", pool: "p", instance: "w1" },
      summary: "Worker w1 of pool p does not become ready",
    },
    quiet: {
      why: "its models take ten minutes to load",
      series: { 'vapfarm_worker_ready{farm="f",pool="p",instance="w1"}': "0x10 1x30" },
      at: "30m",
    },
  },
  {
    alert: "VapfarmWorkerCallsFail",
    fires: {
      series: {
        'vapfarm_worker_request_seconds_count{farm="f",instance="w1",subject="beat",code="OK"}': "0+10x30",
        'vapfarm_worker_request_seconds_count{farm="f",instance="w1",subject="beat",code="BROKER_UNAVAILABLE"}': "0+10x30",
      },
      at: "15m",
      labels: { farm: "f", instance: "w1" },
      summary: "50% of the requests of worker w1 fail",
    },
    quiet: {
      why: "one in twenty",
      series: {
        'vapfarm_worker_request_seconds_count{farm="f",instance="w1",subject="beat",code="OK"}': "0+19x30",
        'vapfarm_worker_request_seconds_count{farm="f",instance="w1",subject="beat",code="BROKER_UNAVAILABLE"}': "0+1x30",
      },
      at: "15m",
    },
  },
  {
    alert: "VapfarmCheckpointsFail",
    fires: {
      series: { 'vapfarm_worker_checkpoints_total{farm="f",pool="p",instance="w1",outcome="failed"}': "_x3 4x10" },
      at: "6m",
      labels: { farm: "f", pool: "p" },
      summary: "4 checkpoints of pool p could not be kept",
    },
    quiet: {
      why: "one of many",
      series: {
        'vapfarm_worker_checkpoints_total{farm="f",pool="p",outcome="failed"}': "_x3 1x10",
        'vapfarm_worker_checkpoints_total{farm="f",pool="p",outcome="kept"}': "0+10x20",
      },
      at: "6m",
    },
  },
  {
    alert: "VapfarmArtifactStoreErrors",
    fires: {
      series: {
        'vapfarm_artifact_seconds_count{farm="f",instance="w1",backend="s3",operation="put",code="ARTIFACT_STORE_UNAVAILABLE"}': "_x3 6x10",
      },
      at: "6m",
      labels: { farm: "f", backend: "s3", operation: "put" },
      summary: "6 operations “put” of the artifact store (s3) failed",
    },
    quiet: {
      why: "one was asked for that is not there",
      series: { 'vapfarm_artifact_seconds_count{farm="f",instance="w1",backend="s3",operation="get",code="ARTIFACT_MISSING"}': "_x3 6x10" },
      at: "6m",
    },
  },
];
