/**
 * What work cost: the totals of the ledger as gauges, and what came onto them as counters.
 *
 * A late report corrects the books, so a total may fall; a counter that fell would be read as one that had begun anew, and its whole value as
 * an increase. So the counters are high-water marks since this process began: they stand still until what was corrected is passed again.
 */
import type { Counter } from "prom-client";
import { nanosPerUnit } from "../../domain/money.ts";
import { type Metrics, type Series, seriesOf, startAtZero } from "../../platform/metrics.ts";
import type { Sample } from "../../platform/sample.ts";
import type { BooksStore } from "../store/store-contract.ts";
import type { StoreMetricsOptions } from "./queue.ts";
import { createStoreGauge, hideAll } from "./store-gauges.ts";

const outcomes = ["committed", "failed", "superseded", "lost", "returned"];
const labels = ["pool", "outcome"];

type Total = readonly [labels: Series, value: number];

/** Registers them. */
export function registerBooks(metrics: Metrics, { store, sampler, pools }: StoreMetricsOptions<Pick<BooksStore, "usageTotals">>): void {
  const always = seriesOf("pool", pools, seriesOf("outcome", outcomes));
  const shared = { labels, sample: (): Sample => books, always };
  const seconds = createStoreGauge(metrics, { name: "vapfarm_books_device_seconds", help: "Device time on the books", ...shared });
  const cost = createStoreGauge(metrics, { name: "vapfarm_books_cost", help: "Cost on the books in the farm's currency", ...shared });
  const counterOf = (name: string, help: string): Counter => metrics.sampledCounter({ name, help, labels, sample: () => books.refresh() });
  const countSeconds = highWater(
    counterOf("vapfarm_device_seconds_total", "Device time that came onto the books; all but committed is wasted"),
    always,
  );
  const countCost = highWater(counterOf("vapfarm_cost_total", "Cost that came onto the books in the farm's currency"), always);
  const books = sampler.add({
    name: "books",
    read: () => store.usageTotals(),
    show(totals) {
      const labelled = totals.map(({ pool, outcome, ...total }) => ({ of: { pool, outcome }, ...total }));
      const spent = labelled.map(({ of, deviceMs }): Total => [of, deviceMs / 1_000]);
      const paid = labelled.map(({ of, costNanos }): Total => [of, Number(costNanos) / Number(nanosPerUnit)]);
      seconds.show(spent);
      countSeconds(spent);
      cost.show(paid);
      countCost(paid);
    },
    hide: hideAll(seconds, cost),
  });
}

/** Counts by how much totals exceed the most that they ever were; the first ones that are seen are where it begins. */
function highWater(counter: Counter, always: readonly Series[]): (totals: readonly Total[]) => void {
  startAtZero(counter, always);
  const most = new Map<string, number>();
  let hasBegun = false;
  return (totals) => {
    for (const [series, value] of totals) {
      const key = JSON.stringify(series);
      const seen = most.get(key) ?? (hasBegun ? 0 : value);
      if (value > seen) counter.inc({ ...series }, value - seen);
      most.set(key, Math.max(seen, value));
    }
    hasBegun = true;
  };
}
