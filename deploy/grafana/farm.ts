/**
 * “Farm”: whether it works, at one look, and where to look next.
 */
import { type DashboardSpec, farmVariable, poolVariable, type RowSpec } from "./dashboard.ts";
import { calls, itself } from "./farm-itself.ts";
import { metrics, metricsNow, quantile, stored } from "./query.ts";

const farm = 'farm=~"$farm"';
const pools = 'farm=~"$farm",pool=~"$pool"';

const now: RowSpec = {
  title: "Now",
  lines: [
    {
      height: 4,
      panels: [
        {
          kind: "stat",
          title: "Coordinators",
          description: "Coordinators that are scraped. One is enough to work; two let one of them be replaced.",
          unit: "none",
          width: 4,
          queries: [metrics(`count(vapfarm_build_info{component="coordinator",${farm}})`, "coordinators")],
          thresholds: [
            [undefined, "red"],
            [1, "yellow"],
            [2, "green"],
          ],
          runbook: "VapfarmCoordinatorAbsent",
        },
        {
          kind: "stat",
          title: "Workers that take work",
          description: "Workers with a live session, idle or busy, of the chosen pools.",
          unit: "none",
          width: 4,
          queries: [metrics(stored(`vapfarm_workers{state=~"idle|busy",${pools}}`, "pool, state", "farm"), "workers")],
          thresholds: [
            [undefined, "red"],
            [1, "green"],
          ],
          runbook: "VapfarmNoWorkerForWork",
        },
        {
          kind: "stat",
          title: "Ready tasks",
          description: "Tasks that wait for a worker. Many are no fault; see for how long the oldest waits.",
          unit: "none",
          width: 4,
          queries: [metrics(stored(`vapfarm_ready_tasks{${pools}}`, "pool, class", "farm"), "ready")],
          thresholds: [[undefined, "blue"]],
        },
        {
          kind: "stat",
          title: "Oldest production task",
          description: "For how long the oldest ready task of class production has waited.",
          unit: "s",
          width: 4,
          queries: [metrics(`max(vapfarm_oldest_ready_seconds{class="production",${pools}})`, "oldest")],
          thresholds: [
            [undefined, "green"],
            [600, "yellow"],
            [1_800, "red"],
          ],
          runbook: "VapfarmProductionWaits",
        },
        {
          kind: "stat",
          title: "Dead letters",
          description: "Tasks that failed for good and were not retried: `vapfarm failures`.",
          unit: "none",
          width: 4,
          queries: [metrics(stored(`vapfarm_dead_letters{${pools}}`, "pool", "farm"), "dead letters")],
          thresholds: [
            [undefined, "green"],
            [1, "yellow"],
            [20, "red"],
          ],
          runbook: "VapfarmDeadLetters",
        },
        {
          kind: "stat",
          title: "Alerts that fire",
          description:
            "Of the chosen farms' own rules and of those that are of no farm (GPUs), as this Prometheus judges them. None fires when all is well, so nothing counts as 0.",
          unit: "none",
          width: 4,
          queries: [metricsNow('sum(ALERTS{alertstate="firing",alertname=~"Vapfarm.*",farm=~"$farm|"}) or vector(0)', "firing")],
          thresholds: [
            [undefined, "green"],
            [1, "red"],
          ],
          runbook: "Alerts",
        },
      ],
    },
  ],
};

const work: RowSpec = {
  title: "Work",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "stack",
          title: "Tasks by state",
          description: "Live tasks. `blocked` that stays while nothing runs is a bug that the sweep repairs.",
          unit: "none",
          width: 12,
          queries: [metrics(stored(`vapfarm_queue_tasks{${pools}}`, "pool, stage, state", "state"), "{{state}}")],
        },
        {
          kind: "stack",
          title: "Renders that wait or run",
          description: "Waiting ones have no tasks yet: the window of their pool is full. A full window that never falls: too few workers.",
          unit: "none",
          width: 12,
          queries: [
            metrics(stored(`vapfarm_waiting_renders{${pools}}`, "pool", "pool"), "waiting {{pool}}"),
            metrics(stored(`vapfarm_open_renders{${pools}}`, "pool", "pool"), "open {{pool}}"),
          ],
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Renders that end, a minute",
          description: "Renders of all jobs, by how they ended.",
          unit: "cpm",
          width: 12,
          queries: [metrics(`60 * sum by (state) (rate(vapfarm_renders_ended_total{${farm}}[$__rate_interval]))`, "{{state}}")],
        },
        {
          kind: "series",
          title: "How long tasks wait for a worker",
          description: "From ready until a worker is given it; half of them wait less than p50, one in twenty more than p95.",
          unit: "s",
          width: 12,
          queries: [
            metrics(quantile(0.5, `vapfarm_wait_seconds{${pools}}`, "class"), "p50 {{class}}"),
            metrics(quantile(0.95, `vapfarm_wait_seconds{${pools}}`, "class"), "p95 {{class}}"),
          ],
          thresholds: [
            [undefined, "green"],
            [300, "red"],
          ],
          runbook: "VapfarmQueueWaitLong",
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Device time in use",
          description: "Share of the workers' time in which a run had the device. Low with ready tasks: see “Pools and GPUs”.",
          unit: "percentunit",
          most: 1,
          width: 8,
          queries: [
            metrics(
              `sum by (pool) (rate(vapfarm_worker_device_seconds_total{${pools}}[$__rate_interval])) / count by (pool) (vapfarm_worker_ready{${pools}})`,
              "{{pool}}",
            ),
          ],
        },
        {
          kind: "stack",
          title: "Device time without a result",
          description: "Share of all device time on the books, by what became of it; `returned` was cancelled, drained or preempted.",
          unit: "percentunit",
          width: 8,
          queries: [
            metrics(
              `sum by (outcome) (max by (farm, pool, outcome) (increase(vapfarm_device_seconds_total{outcome!="committed",${pools}}[1h])))
/ scalar(sum(max by (farm, pool, outcome) (increase(vapfarm_device_seconds_total{${pools}}[1h]))))`,
              "{{outcome}}",
            ),
          ],
          runbook: "VapfarmDeviceTimeWasted",
        },
        {
          kind: "series",
          title: "Attempts that fail, a minute",
          description: "Ended attempts by code. `abandoned` and `superseded` are no failures of the work.",
          unit: "cpm",
          width: 8,
          queries: [
            metrics(`60 * sum by (outcome) (rate(vapfarm_attempts_total{outcome!="succeeded",${farm}}[$__rate_interval]))`, "{{outcome}}"),
          ],
          runbook: "Error codes",
        },
      ],
    },
  ],
};

export const farmDashboard: DashboardSpec = {
  uid: "vapfarm-farm",
  title: "Farm",
  description: "Whether the farm works, and where to look next",
  from: "now-3h",
  refresh: "30s",
  variables: [farmVariable, poolVariable],
  rows: [now, work, calls, itself],
};
