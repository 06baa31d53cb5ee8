/**
 * The count of spans that nobody will see.
 */
import type { Metrics } from "../metrics.ts";

/** Registers it; what it returns counts. */
export function countDroppedSpans(metrics: Metrics): (spans: number) => void {
  const name = "vapfarm_spans_dropped_total";
  const dropped = metrics.counter(name, "Spans that were dropped because their receiver did not take them, or not in time");
  return (spans) => dropped.inc(spans);
}
