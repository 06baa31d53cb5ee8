/**
 * Outcomes of metrics, made and read in one line.
 */
import type { MetricOutcome } from "../../../services/domain/vbench/metric.ts";

/** The value of an outcome that has one. */
export function valueOf(outcome: MetricOutcome): number {
  if (outcome.status !== "ok") throw new TypeError(outcome.reason);
  return outcome.value;
}

/** What an accumulator makes of all items. */
export function pushAll<Item>(accumulator: { push(item: Item): void; finish(): MetricOutcome }, items: readonly Item[]): MetricOutcome {
  for (const item of items) accumulator.push(item);
  return accumulator.finish();
}
