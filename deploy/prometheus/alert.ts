/**
 * What an alert of the farm is, and the few forms that its expressions take.
 *
 * Every coordinator reads the same gauges from Postgres, so such a gauge is reduced with `max` over coordinators and never summed. A counter is
 * each process's own and is summed. `farm` is a label that the scrape adds; where it is absent, all is one farm.
 */
export type Severity = "critical" | "warning";

export type Alert = {
  /** Also the heading of its paragraph in deploy/RUNBOOK.md. */
  readonly name: string;
  /** `critical`: somebody gets up; `warning`: it waits for the morning. */
  readonly severity: Severity;
  readonly expr: string;
  /** How long it must hold. */
  readonly holds: string;
  readonly summary: string;
  readonly description: string;
};

export type AlertGroup = { readonly name: string; readonly alerts: readonly Alert[] };

/**
 * How much a counter grew within a window. The first increment of a labelled counter makes its series, which `increase` does not see: a series that
 * was not there before the window counts in full. It was there if it was scraped within the hour before: a scrape that failed is not its begin.
 */
export function grew(counter: string, window: string, by: string): string {
  return `sum by (${by}) ((${counter} unless ${before(counter, window)}) or increase(${counter}[${window}]))`;
}

/** What was scraped last until so long ago, an outage of scrapes bridged. */
export function before(series: string, ago: string): string {
  return `last_over_time(${series}[1h] offset ${ago})`;
}

/** A gauge that every coordinator shows alike, its other labels summed. */
export function farmWide(gauge: string, by: string): string {
  return `max by (${by}) (sum by (${by}, instance) (${gauge}))`;
}
