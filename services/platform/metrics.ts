/**
 * Prometheus metrics of one process: a registry of its own, no globals. Every family has its row in deploy/METRICS.md; a test holds both
 * together.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

export type Metrics = {
  readonly registry: Registry;
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  /** A counter whose value is brought up to date at each scrape; `sample` must not reject. */
  sampledCounter(options: Sampled<Counter>): Counter;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
  /** A gauge that is set anew at each scrape; `sample` must not reject. */
  sampledGauge(options: Sampled<Gauge>): Gauge;
  histogram(options: Named & { readonly buckets: readonly number[] }): Histogram;
};

type Named = { readonly name: string; readonly help: string; readonly labels?: readonly string[] };
type Sampled<M> = Named & { readonly sample: (metric: M) => Promise<void> | void };

/** The values of labels of one series. */
export type Series = Readonly<Record<string, string>>;

/** A registry with the process's default metrics; `labels` are those that every series of it has. Names must start with `vapfarm_`. */
export function createMetrics(labels: Series = {}): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ ...labels });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const namesOf = ({ name, help, labels: own = [] }: Named) => ({ name, help, labelNames: [...own], registers });
  return {
    registry,
    counter: (name, help, own = []) => new Counter(namesOf({ name, help, labels: own })),
    sampledCounter: ({ sample, ...named }) =>
      new Counter({
        ...namesOf(named),
        async collect() {
          await sample(this);
        },
      }),
    gauge: (name, help, own = []) => new Gauge(namesOf({ name, help, labels: own })),
    sampledGauge: ({ sample, ...named }) =>
      new Gauge({
        ...namesOf(named),
        async collect() {
          await sample(this);
        },
      }),
    histogram: ({ buckets, ...named }) => new Histogram({ ...namesOf(named), buckets: [...buckets] }),
  };
}

/** Shows series that nothing was counted of yet: the first count is then an increase, which a series that appears with it is not. */
export function startAtZero(metric: Counter | Histogram, series: readonly Series[] = [{}]): void {
  for (const labels of series) {
    if (metric instanceof Counter) metric.inc({ ...labels }, 0);
    else metric.zero({ ...labels });
  }
}

/** Each value of a label with each of `others`. */
export function seriesOf(label: string, values: readonly string[], others: readonly Series[] = [{}]): readonly Series[] {
  return others.flatMap((other) => values.map((value) => ({ ...other, [label]: value })));
}

/** The value if it is one of a closed set; else `other`: what comes from outside the process makes no series. */
export function knownOr<K extends string>(known: ReadonlySet<K>, value: string): K | "other" {
  return (known as ReadonlySet<string>).has(value) ? (value as K) : "other";
}
