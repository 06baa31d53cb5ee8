/**
 * Prometheus metrics of one process: a registry of its own, no globals.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

export type Metrics = {
  readonly registry: Registry;
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
  /** A gauge that is set anew at each scrape; `sample` must not throw. */
  sampledGauge(options: {
    readonly name: string;
    readonly help: string;
    readonly labels?: readonly string[];
    readonly sample: (gauge: Gauge) => Promise<void>;
  }): Gauge;
  histogram(options: {
    readonly name: string;
    readonly help: string;
    readonly labels?: readonly string[];
    readonly buckets: readonly number[];
  }): Histogram;
};

/** A registry with the process's default metrics; names must start with `vapfarm_`. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    counter: (name, help, labels = []) => new Counter({ name, help, labelNames: [...labels], registers }),
    gauge: (name, help, labels = []) => new Gauge({ name, help, labelNames: [...labels], registers }),
    sampledGauge: ({ name, help, labels = [], sample }) =>
      new Gauge({
        name,
        help,
        labelNames: [...labels],
        registers,
        async collect() {
          await sample(this);
        },
      }),
    histogram: ({ name, help, labels = [], buckets }) =>
      new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers }),
  };
}
