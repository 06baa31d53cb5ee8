/**
 * “Pools and GPUs”: how many workers there are and should be, what each does with its device, and what the device says of itself.
 */
import { type DashboardSpec, farmVariable, poolVariable, type RowSpec } from "./dashboard.ts";
import { gpus } from "./pools-gpus.ts";
import { workers } from "./pools-workers.ts";
import { metrics, stored } from "./query.ts";

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
            metrics(stored(`vapfarm_workers_suspended{${pools}}`, "pool, state", "state"), "{{state}}"),
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
          title: "Desired workers and live ones",
          description:
            "What scaling decided, what the cluster was asked for, and what lives. Apart for long: no node, no quota, an image that does not come.",
          unit: "none",
          width: 8,
          queries: [
            metrics(`max by (pool) (vapfarm_pool_workers_desired{${pools}})`, "desired {{pool}}"),
            metrics(`max by (pool) (vapfarm_pool_workers_current{${pools}})`, "asked for {{pool}}"),
            metrics(stored(`vapfarm_workers{state!="lapsed",${pools}}`, "pool, state", "pool"), "live {{pool}}"),
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

export const poolsDashboard: DashboardSpec = {
  uid: "vapfarm-pools",
  title: "Pools and GPUs",
  description: "How many workers there are and should be, and what each does with its device",
  from: "now-3h",
  refresh: "30s",
  variables: [farmVariable, poolVariable],
  rows: [supply, scaling, workers, gpus],
};
