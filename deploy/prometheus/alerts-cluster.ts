/**
 * What the farm cannot see of itself: the cluster's scaling as it is asked for, the GPUs' own word, and what the scores say.
 */
import { type AlertGroup, farmWide, grew } from "./alert.ts";

const desired = "max by (farm, pool) (vapfarm_pool_workers_desired)";
const asked = "max by (farm, pool) (vapfarm_pool_workers_current)";

export const clusterAlerts: AlertGroup = {
  name: "vapfarm-cluster",
  alerts: [
    {
      name: "VapfarmScalingStuck",
      severity: "warning",
      // What the cluster was asked for is not what it gives: live workers count, wherever the request got stuck.
      expr: `${desired} > (${farmWide('vapfarm_workers{state!="lapsed"}', "farm, pool")} or 0 * ${desired})
or ${desired} > ${asked}`,
      holds: "30m",
      summary: "Pool {{ $labels.pool }} does not reach the {{ $value | humanize }} workers that are desired",
      description: "No node has room or the devices, an image cannot be pulled, or a quota is used up.",
    },
    {
      name: "VapfarmScalingTooMany",
      severity: "warning",
      // One that goes finishes what it runs first, cordoned or draining: a pool shrinks for as long as there is one.
      expr: `${asked} > ${desired}
unless ${farmWide('vapfarm_workers{state=~"cordoned|draining"}', "farm, pool")} > 0`,
      holds: "1h",
      summary: "Pool {{ $labels.pool }} keeps {{ $value | humanize }} workers, more than are desired",
      description: "For an hour, and none of them is about to go: whoever scales the pool does not follow the number.",
    },
    {
      name: "VapfarmKubernetesCallsFail",
      severity: "warning",
      expr: `${grew('vapfarm_kube_requests_total{code!~"2..|404|409|410"}', "15m", "farm, verb")} > 5`,
      holds: "0s",
      summary: "{{ $value | humanize }} “{{ $labels.verb }}” requests to the Kubernetes API failed",
      description: "Within 15 min. Workers are not scaled until it answers; `403` means that the role is too small.",
    },
    {
      name: "VapfarmGpuFault",
      severity: "critical",
      expr: "max by (Hostname, gpu, UUID, modelName) (DCGM_FI_DEV_XID_ERRORS) > 0",
      holds: "0s",
      summary: "GPU {{ $labels.gpu }} of {{ $labels.Hostname }} told XID {{ $value | humanize }}",
      description: "The newest error of the driver, until the exporter starts again. Drain the worker before the device is reset.",
    },
    {
      name: "VapfarmGpuHot",
      severity: "warning",
      expr: "max by (Hostname, gpu, UUID, modelName) (DCGM_FI_DEV_GPU_TEMP) > 88",
      holds: "10m",
      summary: "GPU {{ $labels.gpu }} of {{ $labels.Hostname }} is at {{ $value | humanize }} °C",
      description: "It slows itself down; steps take longer than expected.",
    },
    {
      name: "VapfarmBenchmarkScoreDropped",
      severity: "warning",
      expr: `(1 - max by (farm, suite, model, settings, metric, aggregator) (vapfarm_benchmark_score) / max by (farm, suite, model, settings, metric, aggregator) (vapfarm_benchmark_score offset 1d)) > 0.05`,
      holds: "10m",
      summary:
        "{{ $labels.metric }} of {{ $labels.model }} on {{ $labels.suite }} ({{ $labels.settings }}) fell by {{ $value | humanizePercentage }} within a day",
      description:
        "The newest finished run against the one of a day ago with the same settings. Compare them: `vapfarm bench report RUN --compare RUN2`.",
    },
  ],
};

export const memoryAlerts: AlertGroup = {
  name: "vapfarm-memory",
  alerts: [
    {
      name: "VapfarmWorkerMemoryFull",
      severity: "warning",
      expr: `max by (farm, pool, instance) (vapfarm_worker_memory_bytes{kind="runtime_resident"})
/ max by (farm, pool, instance) (vapfarm_worker_memory_bytes{kind="limit"}) > 0.95`,
      holds: "10m",
      summary: "The runtime of {{ $labels.instance }} uses {{ $value | humanizePercentage }} of its memory",
      description: "A task that needs more fails with `STAGE_OUT_OF_MEMORY` and goes to a larger worker, where there is one.",
    },
  ],
};
