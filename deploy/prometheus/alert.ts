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
 * was not there at the window's begin counts in full.
 */
export function grew(counter: string, window: string, by: string): string {
  return `sum by (${by}) ((${counter} unless ${counter} offset ${window}) or increase(${counter}[${window}]))`;
}

/** A gauge that every coordinator shows alike, its other labels summed. */
export function farmWide(gauge: string, by: string): string {
  return `max by (${by}) (sum by (${by}, instance) (${gauge}))`;
}
