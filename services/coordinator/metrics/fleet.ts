/**
 * Workers as the farm sees them, and what it holds against them.
 */
import { type Metrics, type Series, seriesOf } from "../../platform/metrics.ts";
import type { Sample } from "../../platform/sample.ts";
import type { HealthCount, HealthStore, MeasureStore } from "../store/store-contract.ts";
import type { StoreMetricsOptions } from "./queue.ts";
import { createStoreGauge, hideAll } from "./store-gauges.ts";

export type FleetStore = Pick<MeasureStore, "fleetMeasures"> & Pick<HealthStore, "healthCounts">;

/** Registers them. */
export function registerFleet(metrics: Metrics, { store, sampler, pools }: StoreMetricsOptions<FleetStore>): void {
  const workers = createStoreGauge(metrics, {
    name: "vapfarm_workers",
    help: "Workers by pool and what they do",
    labels: ["pool", "state"],
    sample: () => fleet,
    always: seriesOf("pool", pools, seriesOf("state", ["idle", "busy", "draining", "cordoned", "lapsed"])),
  });
  const fleet = sampler.add({
    name: "workers",
    read: () => store.fleetMeasures(),
    show: (measures) => workers.show(measures.map(({ pool, state, count }) => [{ pool, state }, count])),
    hide: hideAll(workers),
  });
  registerHealth(metrics, { store, sampler, pools });
}

function registerHealth(metrics: Metrics, { store, sampler, pools }: StoreMetricsOptions<FleetStore>): void {
  const gaugeOf = (name: string, help: string) =>
    createStoreGauge(metrics, { name, help, labels: ["pool"], sample: () => health, always: seriesOf("pool", pools) });
  const suspended = createStoreGauge(metrics, {
    name: "vapfarm_workers_suspended",
    help: "Workers that get nothing or one task at a time for their failures, by pool and state",
    labels: ["pool", "state"],
    sample: () => health,
    always: seriesOf("pool", pools, seriesOf("state", ["suspended", "probation"])),
  });
  const letters = gaugeOf("vapfarm_dead_letters", "Tasks that failed for good and were not retried, by pool");
  const engines = gaugeOf("vapfarm_engines_quarantined", "Engines that a worker gets no work of, by pool");
  const ofKind = (counts: readonly HealthCount[], wanted: HealthCount["kind"]): readonly (readonly [Series, number])[] =>
    counts.flatMap(({ kind, pool, count }) => (kind === wanted ? [[{ pool }, count] as const] : []));
  const health: Sample = sampler.add({
    name: "health",
    read: () => store.healthCounts(),
    show(counts) {
      const states = counts.filter(({ kind }) => kind === "suspended" || kind === "probation");
      suspended.show(states.map(({ pool, kind, count }) => [{ pool, state: kind }, count]));
      letters.show(ofKind(counts, "dead letters"));
      engines.show(ofKind(counts, "quarantined"));
    },
    hide: hideAll(suspended, letters, engines),
  });
}
