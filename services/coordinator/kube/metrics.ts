/**
 * Metrics of scaling: gauges from what was decided last, read from the store, so that every coordinator shows the same; counters are this process's.
 */
import { type Disruption, disruptionCauses } from "../../domain/disruption.ts";
import { knownOr, type Metrics, seriesOf, startAtZero } from "../../platform/metrics.ts";
import type { Sample, Sampler } from "../../platform/sample.ts";
import { createStoreGauge, hideAll } from "../metrics/store-gauges.ts";
import type { ScaleRecord, ScalingStore } from "../store/store-contract.ts";

/** What an API server answers; 0: nothing. */
const codes: ReadonlySet<string> = new Set(
  [0, 200, 201, 400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503, 504].map((code) => String(code)),
);

export type ScalingMetrics = {
  readonly onAnswer: (answer: { readonly verb: string; readonly code: number }) => void;
  readonly onScaled: (change: { readonly pool: string; readonly direction: "up" | "down" }) => void;
  readonly onDisrupted: (cause: Disruption["cause"]) => void;
};

export type ScalingMetricsOptions = {
  readonly store: Pick<ScalingStore, "scaleRecords">;
  readonly pools: readonly string[];
  /** The process's: reads go one after another, and the age of each is told. */
  readonly sampler: Sampler;
};

/** Registers them; called only where pools are scaled. */
export function createScalingMetrics(metrics: Metrics, options: ScalingMetricsOptions): ScalingMetrics {
  registerPools(metrics, options);
  const requests = metrics.counter("vapfarm_kube_requests_total", "Answers of the Kubernetes API; code 0: there was none", [
    "verb",
    "code",
  ]);
  const changes = metrics.counter("vapfarm_scale_changes_total", "Times that the cluster was asked for more or fewer workers", [
    "pool",
    "direction",
  ]);
  startAtZero(
    changes,
    options.pools.flatMap((pool) => [
      { pool, direction: "up" },
      { pool, direction: "down" },
    ]),
  );
  const disruptions = metrics.counter("vapfarm_disruptions_total", "Workers that the cluster took or was about to, by cause", ["cause"]);
  startAtZero(disruptions, seriesOf("cause", disruptionCauses));
  return {
    onAnswer: ({ verb, code }) => requests.inc({ verb, code: knownOr(codes, String(code)) }),
    onScaled: ({ pool, direction }) => changes.inc({ pool, direction }),
    onDisrupted: (cause) => disruptions.inc({ cause }),
  };
}

function registerPools(metrics: Metrics, { store, sampler }: ScalingMetricsOptions): void {
  const gaugeOf = (name: string, help: string, valueOf: (record: ScaleRecord) => number) => {
    const gauge = createStoreGauge(metrics, { name, help, labels: ["pool"], sample: (): Sample => records });
    const showAll = (found: readonly ScaleRecord[]): void => gauge.show(found.map((record) => [{ pool: record.pool }, valueOf(record)]));
    return { ...gauge, showAll };
  };
  const gauges = [
    gaugeOf("vapfarm_pool_workers_desired", "Workers that a pool should have, as scaling decided last", ({ desired }) => desired),
    gaugeOf("vapfarm_pool_workers_current", "Workers that the cluster is asked for", ({ asked }) => asked),
    gaugeOf("vapfarm_pool_load_seconds", "How long a worker takes to serve, as scaling sees it", ({ loadMs }) => loadMs / 1_000),
    gaugeOf("vapfarm_pool_backlog_seconds", "Expected device time of admitted work that may start", ({ backlogMs }) => backlogMs / 1_000),
  ];
  const records = sampler.add({
    name: "scaling",
    read: () => store.scaleRecords(),
    show: (found) => gauges.forEach(({ showAll }) => showAll(found)),
    hide: hideAll(...gauges),
  });
}
