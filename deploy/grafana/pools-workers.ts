/**
 * The part of “Pools and GPUs” that says what each worker does with its device and its machine.
 */
import type { RowSpec } from "./dashboard.ts";
import { metrics, metricsTable, quantile } from "./query.ts";

const farm = 'farm=~"$farm"';
const pools = 'farm=~"$farm",pool=~"$pool"';

export const workers: RowSpec = {
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
          description: "Host memory, not the GPU's: what a runtime has, against what its worker was given.",
          unit: "percentunit",
          width: 6,
          queries: [
            metrics(
              `max by (instance) (vapfarm_worker_memory_bytes{kind="runtime_resident",${pools}}) / max by (instance) (vapfarm_worker_memory_bytes{kind="limit",${pools}})`,
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
