/**
 * “Pools and GPUs”: how many workers there are and should be, what each does with its device, and what the device says of itself.
 */
import { type DashboardSpec, farmVariable, poolVariable, type RowSpec } from "./dashboard.ts";
import type { PanelSpec } from "./panel.ts";
import { metrics, metricsTable, quantile, stored } from "./query.ts";

const farm = 'farm=~"$farm"';
const pools = 'farm=~"$farm",pool=~"$pool"';

const supply: RowSpec = {
  title: "Work and workers of each pool",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "stack",
          title: "Workers by state",
          description: "`lapsed`: its lease ran out within the last hour and it did not come back.",
          unit: "none",
          width: 8,
          queries: [metrics(stored(`vapfarm_workers{${pools}}`, "pool, state", "pool, state"), "{{pool}} {{state}}")],
          runbook: "VapfarmNoWorkerForWork",
        },
        {
          kind: "stack",
          title: "Ready tasks by class",
          description: "Tasks that wait for a worker.",
          unit: "none",
          width: 8,
          queries: [metrics(stored(`vapfarm_ready_tasks{${pools}}`, "pool, class", "pool, class"), "{{pool}} {{class}}")],
          runbook: "VapfarmIdleWithWork",
        },
        {
          kind: "series",
          title: "How long the oldest has waited",
          description: "Of the ready tasks of each class.",
          unit: "s",
          width: 8,
          queries: [metrics(`max by (pool, class) (vapfarm_oldest_ready_seconds{${pools}})`, "{{pool}} {{class}}")],
          thresholds: [
            [undefined, "green"],
            [1_800, "red"],
          ],
          runbook: "VapfarmProductionWaits",
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Device time that waits",
          description: "What the ready tasks are expected to take. Divided by the workers it is how long the queue lasts.",
          unit: "s",
          width: 8,
          queries: [metrics(stored(`vapfarm_ready_device_seconds{${pools}}`, "pool, class", "pool, class"), "{{pool}} {{class}}")],
        },
        {
          kind: "series",
          title: "Workers that get nothing for their failures",
          description:
            "Suspended or on probation, engines that are shut, and workers that would be suspended if they were not half of the pool.",
          unit: "none",
          width: 8,
          queries: [
            metrics(`${stored(`vapfarm_workers_suspended{${pools}}`, "pool, state", "state")}`, "{{state}}"),
            metrics(stored(`vapfarm_engines_quarantined{${pools}}`, "pool", "farm"), "engines shut"),
            metrics(`max(vapfarm_worker_suspensions_held_back{${farm}})`, "held back"),
          ],
          thresholds: [
            [undefined, "green"],
            [1, "red"],
          ],
          runbook: "VapfarmWorkerSuspended",
        },
        {
          kind: "series",
          title: "Cost, an hour",
          description: "In the farm's currency, by what became of it; 0 where no price is set.",
          unit: "none",
          width: 8,
          queries: [metrics(`sum by (outcome) (max by (farm, pool, outcome) (increase(vapfarm_cost_total{${pools}}[1h])))`, "{{outcome}}")],
        },
      ],
    },
  ],
};

const scaling: RowSpec = {
  title: "Scaling on Kubernetes",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Desired and current workers",
          description:
            "What the farm asks of the cluster and what there is. Apart for long: no node, no quota, an image that does not come.",
          unit: "none",
          width: 8,
          queries: [
            metrics(`max by (pool) (vapfarm_pool_workers_desired{${pools}})`, "desired {{pool}}"),
            metrics(`max by (pool) (vapfarm_pool_workers_current{${pools}})`, "current {{pool}}"),
          ],
          runbook: "VapfarmScalingStuck",
        },
        {
          kind: "series",
          title: "What the decision goes by",
          description: "Expected device time of admitted work, and how long a new worker takes until it can work.",
          unit: "s",
          width: 8,
          queries: [
            metrics(`max by (pool) (vapfarm_pool_backlog_seconds{${pools}})`, "backlog {{pool}}"),
            metrics(`max by (pool) (vapfarm_pool_load_seconds{${pools}})`, "load {{pool}}"),
          ],
        },
        {
          kind: "series",
          title: "Changes and requests, an hour",
          description: "Changes of scale by direction, and requests to the Kubernetes API by answer; `409` and `410` are the protocol.",
          unit: "none",
          width: 8,
          queries: [
            metrics(`sum by (pool, direction) (increase(vapfarm_scale_changes_total{${pools}}[1h]))`, "{{pool}} {{direction}}"),
            metrics(`sum by (verb, code) (increase(vapfarm_kube_requests_total{${farm}}[1h]))`, "{{verb}} {{code}}"),
          ],
          runbook: "VapfarmKubernetesCallsFail",
        },
      ],
    },
  ],
};

const workers: RowSpec = {
  title: "What workers do",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Device in use, by worker",
          description: "Share of time in which a run had the device.",
          unit: "percentunit",
          most: 1,
          width: 8,
          queries: [metrics(`sum by (instance) (rate(vapfarm_worker_device_seconds_total{${pools}}[$__rate_interval]))`, "{{instance}}")],
        },
        {
          kind: "series",
          title: "Idle gap between two runs",
          description: "Of workers that had work waiting. Goal: p50 5 ms, p99 20 ms.",
          unit: "s",
          width: 8,
          queries: [
            metrics(quantile(0.5, `vapfarm_worker_idle_gap_seconds{${pools}}`, "pool"), "p50 {{pool}}"),
            metrics(quantile(0.99, `vapfarm_worker_idle_gap_seconds{${pools}}`, "pool"), "p99 {{pool}}"),
          ],
          thresholds: [
            [undefined, "green"],
            [0.02, "red"],
          ],
        },
        {
          kind: "series",
          title: "Denoise steps a second",
          description: "By model, of all workers. Falls while work waits: a device slowed down, or sizes changed.",
          unit: "none",
          width: 8,
          queries: [metrics(`sum by (model) (rate(vapfarm_worker_steps_total{${pools}}[$__rate_interval]))`, "{{model}}")],
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "How long stages compute",
          description: "p95 of committed attempts, loading apart.",
          unit: "s",
          width: 8,
          queries: [metrics(quantile(0.95, `vapfarm_stage_seconds{${farm}}`, "stage"), "{{stage}}")],
        },
        {
          kind: "series",
          title: "Engine loads",
          description:
            "How long runs opened engines (p95), by model and stage. Often: engines do not stay resident; long: a cold node or a slow disk.",
          unit: "s",
          width: 8,
          queries: [metrics(quantile(0.95, `vapfarm_worker_engine_load_seconds{${pools}}`, "model, stage"), "{{model}} {{stage}}")],
          runbook: "VapfarmWorkerNotReady",
        },
        {
          kind: "series",
          title: "Start until it can work",
          description:
            "Seconds from a worker's start until it was ready, models loaded; what scaling takes as load time. Not ready ones are 0 below.",
          unit: "s",
          width: 8,
          queries: [
            metrics(`max by (instance) (vapfarm_worker_startup_seconds{${pools}})`, "{{instance}}"),
            metrics(`min by (instance) (vapfarm_worker_ready{${pools}})`, "ready {{instance}}"),
          ],
          runbook: "VapfarmWorkerNotReady",
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Inputs that lay on the machine",
          description: "Share of a worker's inputs that its cache had.",
          unit: "percentunit",
          most: 1,
          width: 6,
          queries: [
            metrics(
              `sum by (pool) (rate(vapfarm_worker_cache_total{result="hit",${pools}}[$__rate_interval])) / sum by (pool) (rate(vapfarm_worker_cache_total{${pools}}[$__rate_interval]))`,
              "{{pool}}",
            ),
          ],
        },
        {
          kind: "series",
          title: "Memory of runtimes",
          description: "Host memory, not the GPU's: the most a runtime had, against what its worker was given.",
          unit: "percentunit",
          width: 6,
          queries: [
            metrics(
              `max by (instance) (vapfarm_worker_memory_bytes{kind="runtime_peak",${pools}}) / max by (instance) (vapfarm_worker_memory_bytes{kind="limit",${pools}})`,
              "{{instance}}",
            ),
          ],
          thresholds: [
            [undefined, "green"],
            [0.95, "red"],
          ],
          runbook: "VapfarmWorkerMemoryFull",
        },
        {
          kind: "series",
          title: "Cost of checkpoints",
          description: "Share of device time in which runs stood still to write them; should stay within 1 %.",
          unit: "percentunit",
          width: 6,
          queries: [
            metrics(
              `sum by (pool) (rate(vapfarm_worker_checkpoint_seconds_total{${pools}}[$__rate_interval])) / sum by (pool) (rate(vapfarm_worker_device_seconds_total{${pools}}[$__rate_interval]))`,
              "{{pool}}",
            ),
          ],
          thresholds: [
            [undefined, "green"],
            [0.01, "red"],
          ],
          runbook: "VapfarmCheckpointsFail",
        },
        {
          kind: "series",
          title: "Runtimes started again, an hour",
          description: "After one died or was killed: look at the device.",
          unit: "none",
          width: 6,
          queries: [metrics(`sum by (instance) (increase(vapfarm_worker_runtime_restarts_total{${pools}}[1h]))`, "{{instance}}")],
          thresholds: [
            [undefined, "green"],
            [3, "red"],
          ],
          runbook: "VapfarmRuntimeRestarts",
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Tasks reserved ahead, a minute",
          description: "`begun` is what they are for; many `revoked` or `given_back` with long idle gaps: expected times are wrong.",
          unit: "cpm",
          width: 6,
          queries: [metrics(`60 * sum by (outcome) (rate(vapfarm_reservations_total{${pools}}[$__rate_interval]))`, "{{outcome}}")],
        },
        {
          kind: "series",
          title: "How long artifacts take",
          description: "p95 by operation and backend, as workers and coordinators see their store.",
          unit: "s",
          width: 6,
          queries: [metrics(quantile(0.95, `vapfarm_artifact_seconds{${farm}}`, "operation, backend"), "{{operation}} {{backend}}")],
          runbook: "VapfarmArtifactStoreErrors",
        },
        {
          kind: "series",
          title: "How long requests to coordinators take",
          description: "p99 as workers see it; the rest above “How long workers' requests take” of the farm is NATS and waiting.",
          unit: "s",
          width: 6,
          queries: [metrics(quantile(0.99, `vapfarm_worker_request_seconds{${pools}}`, "subject"), "{{subject}}")],
          runbook: "VapfarmWorkerCallsFail",
        },
        {
          kind: "table",
          title: "Workers",
          description: "What each is. Two versions at once for long: a roll-out that does not end.",
          unit: "none",
          width: 6,
          queries: [metricsTable(`max by (worker, pool, provider, device, version) (vapfarm_worker_info{${pools}})`)],
        },
      ],
    },
  ],
};

const hardware = (title: string, description: string, rest: Pick<PanelSpec, "unit" | "queries"> & Partial<PanelSpec>): PanelSpec => ({
  kind: "series",
  title,
  description: `${description} From NVIDIA's DCGM exporter beside the workers; the farm does not export it.`,
  width: 8,
  ...rest,
});

const gpus: RowSpec = {
  title: "GPUs (DCGM exporter; its series were not recorded on a GPU here)",
  lines: [
    {
      height: 8,
      panels: [
        hardware("GPU utilisation", "Share of time in which a kernel ran.", {
          unit: "percent",
          most: 100,
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_GPU_UTIL)", "{{Hostname}} {{gpu}}")],
        }),
        hardware("GPU memory in use", "Of the frame buffer. Near full: engines do not stay resident.", {
          unit: "percentunit",
          most: 1,
          queries: [
            metrics(
              `max by (Hostname, gpu) (DCGM_FI_DEV_FB_USED) / (max by (Hostname, gpu) (DCGM_FI_DEV_FB_USED) + max by (Hostname, gpu) (DCGM_FI_DEV_FB_FREE))`,
              "{{Hostname}} {{gpu}}",
            ),
          ],
        }),
        hardware("GPU temperature", "Above the line it slows itself down.", {
          unit: "celsius",
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP)", "{{Hostname}} {{gpu}}")],
          thresholds: [
            [undefined, "green"],
            [88, "red"],
          ],
          runbook: "VapfarmGpuHot",
        }),
      ],
    },
    {
      height: 8,
      panels: [
        hardware("GPU power", "Drawn now.", {
          unit: "watt",
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_POWER_USAGE)", "{{Hostname}} {{gpu}}")],
        }),
        hardware("GPU clock", "Of the multiprocessors. Falls under load: heat or a power cap.", {
          unit: "hertz",
          queries: [metrics("1e6 * max by (Hostname, gpu) (DCGM_FI_DEV_SM_CLOCK)", "{{Hostname}} {{gpu}}")],
        }),
        hardware("Newest XID error", "0: none. The number stays until the exporter starts again.", {
          unit: "none",
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS)", "{{Hostname}} {{gpu}}")],
          thresholds: [
            [undefined, "green"],
            [1, "red"],
          ],
          runbook: "VapfarmGpuFault",
        }),
      ],
    },
  ],
};

export const poolsDashboard: DashboardSpec = {
  uid: "vapfarm-pools",
  title: "Pools and GPUs",
  description: "How many workers there are and should be, and what each does with its device",
  from: "now-3h",
  refresh: "30s",
  variables: [farmVariable, poolVariable],
  rows: [supply, scaling, workers, gpus],
};
