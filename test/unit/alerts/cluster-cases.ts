import type { AlertCase } from "./alert-case.ts";

const score =
  'vapfarm_benchmark_score{farm="f",instance="c1",suite="s",model="m",settings="steps 50, guidance 6, seeds 1",metric="motion_smoothness",aggregator="video_mean"}';

export const clusterCases: readonly AlertCase[] = [
  {
    alert: "VapfarmWorkerMemoryFull",
    fires: {
      series: {
        'vapfarm_worker_memory_bytes{farm="f",pool="p",instance="w1",kind="runtime_resident"}': "97x30",
        'vapfarm_worker_memory_bytes{farm="f",pool="p",instance="w1",kind="limit"}': "100x30",
      },
      at: "15m",
      labels: { farm: "f", pool: "p", instance: "w1" },
      summary: "The runtime of w1 uses 97% of its memory",
    },
    quiet: {
      why: "for a few minutes only",
      series: {
        'vapfarm_worker_memory_bytes{farm="f",pool="p",instance="w1",kind="runtime_resident"}': "50x5 97x5 50x30",
        'vapfarm_worker_memory_bytes{farm="f",pool="p",instance="w1",kind="limit"}': "100x40",
      },
      at: "10m",
    },
  },
  {
    alert: "VapfarmScalingStuck",
    fires: {
      series: {
        'vapfarm_pool_workers_desired{farm="f",instance="c1",pool="p"}': "4x60",
        'vapfarm_pool_workers_current{farm="f",instance="c1",pool="p"}': "4x60",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="busy"}': "2x60",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="lapsed"}': "2x60",
      },
      at: "40m",
      labels: { farm: "f", pool: "p" },
      summary: "Pool p does not reach the 4 workers that are desired",
    },
    quiet: {
      why: "a node comes within ten minutes",
      series: {
        'vapfarm_pool_workers_desired{farm="f",instance="c1",pool="p"}': "4x60",
        'vapfarm_pool_workers_current{farm="f",instance="c1",pool="p"}': "4x60",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="idle"}': "2x10 4x50",
      },
      at: "40m",
    },
  },
  {
    alert: "VapfarmScalingTooMany",
    fires: {
      series: {
        'vapfarm_pool_workers_desired{farm="f",instance="c1",pool="p"}': "2x100",
        'vapfarm_pool_workers_current{farm="f",instance="c1",pool="p"}': "8x100",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="idle"}': "8x100",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="cordoned"}': "0x100",
      },
      at: "70m",
      labels: { farm: "f", pool: "p" },
      summary: "Pool p keeps 8 workers, more than are desired",
    },
    quiet: {
      why: "victims finish what they run for two hours",
      series: {
        'vapfarm_pool_workers_desired{farm="f",instance="c1",pool="p"}': "2x200",
        'vapfarm_pool_workers_current{farm="f",instance="c1",pool="p"}': "8x100 3x100",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="busy"}': "2x200",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="cordoned"}': "6x100 1x100",
      },
      at: "150m",
    },
  },
  {
    alert: "VapfarmKubernetesCallsFail",
    fires: {
      series: { 'vapfarm_kube_requests_total{farm="f",instance="c1",verb="patch",code="403"}': "_x3 8x10" },
      at: "6m",
      labels: { farm: "f", verb: "patch" },
      summary: "8 “patch” requests to the Kubernetes API failed",
    },
    quiet: {
      why: "conflicts and expired watches are the protocol",
      series: {
        'vapfarm_kube_requests_total{farm="f",verb="patch",code="409"}': "_x3 8x10",
        'vapfarm_kube_requests_total{farm="f",verb="watch",code="410"}': "_x3 8x10",
        'vapfarm_kube_requests_total{farm="f",verb="get",code="200"}': "0+100x20",
      },
      at: "6m",
    },
  },
  {
    alert: "VapfarmGpuFault",
    fires: {
      series: { 'DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-1",modelName="H",Hostname="n1"}': "0x3 79x10" },
      at: "6m",
      labels: { gpu: "0", UUID: "GPU-1", modelName: "H", Hostname: "n1" },
      summary: "GPU 0 of n1 told XID 79",
    },
    quiet: {
      why: "none was told",
      series: { 'DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-1",modelName="H",Hostname="n1"}': "0x20" },
      at: "6m",
    },
  },
  {
    alert: "VapfarmGpuHot",
    fires: {
      series: { 'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-1",modelName="H",Hostname="n1"}': "91x20" },
      at: "15m",
      labels: { gpu: "0", UUID: "GPU-1", modelName: "H", Hostname: "n1" },
      summary: "GPU 0 of n1 is at 91 °C",
    },
    quiet: {
      why: "a moment",
      series: { 'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-1",modelName="H",Hostname="n1"}': "70x5 91x5 70x20" },
      at: "10m",
    },
  },
  {
    alert: "VapfarmBenchmarkScoreDropped",
    pace: "15m",
    fires: {
      series: { [score]: "0.9x1440 0.81x60" },
      at: "1480m",
      labels: {
        farm: "f",
        suite: "s",
        model: "m",
        settings: "steps 50, guidance 6, seeds 1",
        metric: "motion_smoothness",
        aggregator: "video_mean",
      },
      summary: "motion_smoothness of m on s (steps 50, guidance 6, seeds 1) fell by 10% within a day",
    },
    quiet: {
      why: "it rose, a trial of two steps is worse, and another model lost one in a hundred",
      series: {
        [score]: "0.9x1440 0.95x60",
        [score.replace("steps 50", "steps 2")]: "_x1440 0.5x60",
        [score.replace('"m"', '"n"')]: "0.9x1440 0.891x60",
      },
      at: "1480m",
    },
  },
];
