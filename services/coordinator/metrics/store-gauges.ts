/**
 * Gauges whose values are read from the store, several from one read.
 */
import type { Gauge } from "prom-client";
import type { Metrics, Series } from "../../platform/metrics.ts";
import type { Sample } from "../../platform/sample.ts";

export type StoreGauge = {
  /** Shows these and no others; of `always`, those that are missing are 0. */
  show(values: readonly (readonly [labels: Series, value: number])[]): void;
  /** Shows no series, as before the first read. */
  hide(): void;
};

export type StoreGaugeSpec = {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Brings it up to date; the same for each gauge of one read. */
  readonly sample: () => Sample;
  readonly always?: readonly Series[];
};

/** Takes away what gauges of one read show. */
export function hideAll(...gauges: readonly StoreGauge[]): () => void {
  return () => gauges.forEach((gauge) => gauge.hide());
}

/** Registers a gauge that is as old as its sample: all gauges of one are from the same read, in whatever order they are scraped. */
export function createStoreGauge(metrics: Metrics, { name, help, labels, sample, always = [] }: StoreGaugeSpec): StoreGauge {
  const gauge: Gauge = metrics.sampledGauge({ name, help, labels, sample: () => sample().refresh() });
  const hide = (): void => {
    gauge.reset();
    // A gauge without labels would be 0 now.
    if (labels.length === 0) gauge.remove({});
  };
  hide();
  return {
    hide,
    show(values) {
      hide();
      for (const series of always) gauge.set({ ...series }, 0);
      for (const [series, value] of values) gauge.set({ ...series }, value);
    },
  };
}
