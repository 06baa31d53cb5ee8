/**
 * Metrics of scaling: gauges from what was decided last, read at each scrape, so that every coordinator shows the same; counters are this process's.
 */
import type { Disruption } from "../../domain/disruption.ts";
import type { Logger } from "../../platform/logging.ts";
import type { Metrics } from "../../platform/metrics.ts";
import type { ScalingStore } from "../store/store-contract.ts";

export type ScalingMetrics = {
  readonly onAnswer: (answer: { readonly verb: string; readonly code: number }) => void;
  readonly onScaled: (change: { readonly pool: string; readonly direction: "up" | "down" }) => void;
  readonly onDisrupted: (cause: Disruption["cause"]) => void;
};

/** Registers them; called only where pools are scaled. */
export function createScalingMetrics(metrics: Metrics, store: Pick<ScalingStore, "scaleRecords">, logger: Logger): ScalingMetrics {
  registerPools(metrics, store, logger);
  const requests = metrics.counter("vapfarm_kube_requests_total", "Answers of the Kubernetes API; code 0: there was none", [
    "verb",
    "code",
  ]);
  const changes = metrics.counter("vapfarm_scale_changes_total", "Times that the cluster was asked for more or fewer workers", [
    "pool",
    "direction",
  ]);
  const disruptions = metrics.counter("vapfarm_disruptions_total", "Workers that the cluster took or was about to, by cause", ["cause"]);
  return {
    onAnswer: ({ verb, code }) => requests.inc({ verb, code: String(code) }),
    onScaled: ({ pool, direction }) => changes.inc({ pool, direction }),
    onDisrupted: (cause) => disruptions.inc({ cause }),
  };
}

function registerPools(metrics: Metrics, store: Pick<ScalingStore, "scaleRecords">, logger: Logger): void {
  const current = metrics.gauge("vapfarm_pool_workers_current", "Workers that the cluster is asked for", ["pool"]);
  const loads = metrics.gauge("vapfarm_pool_load_seconds", "How long a worker takes to serve, as scaling sees it", ["pool"]);
  const backlogs = metrics.gauge("vapfarm_pool_backlog_seconds", "Expected device time of admitted work that may start", ["pool"]);
  metrics.sampledGauge({
    name: "vapfarm_pool_workers_desired",
    help: "Workers that a pool should have, as scaling decided last",
    labels: ["pool"],
    async sample(desired) {
      try {
        const records = await store.scaleRecords();
        for (const gauge of [desired, current, loads, backlogs]) gauge.reset();
        for (const { pool, ...record } of records) {
          desired.set({ pool }, record.desired);
          current.set({ pool }, record.asked);
          loads.set({ pool }, record.loadMs / 1_000);
          backlogs.set({ pool }, record.backlogMs / 1_000);
        }
      } catch (thrown) {
        logger.warn({ err: thrown }, "what scaling decided could not be read; the metrics are those of the last scrape");
      }
    },
  });
}
