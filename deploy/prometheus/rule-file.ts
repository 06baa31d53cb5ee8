/**
 * The alerts as Prometheus reads them. What is committed under deploy/helm is exactly this; `node tools/make-dashboards.ts` writes it.
 */
import { stringify } from "yaml";
import type { Alert, AlertGroup } from "./alert.ts";
import { clusterAlerts, memoryAlerts } from "./alerts-cluster.ts";
import { coordinatorAlerts, promiseAlerts } from "./alerts-coordinator.ts";
import { queueAlerts, workerAlerts } from "./alerts-workers.ts";

export const alertGroups: readonly AlertGroup[] = [
  coordinatorAlerts,
  promiseAlerts,
  queueAlerts,
  workerAlerts,
  memoryAlerts,
  clusterAlerts,
];

/** Where its paragraph is. A site that serves the RUNBOOK puts its address in front. */
export function runbookOf({ name }: Pick<Alert, "name">): string {
  return `deploy/RUNBOOK.md#${name.toLowerCase()}`;
}

function ruleOf(alert: Alert): object {
  const { name, severity, expr, holds, summary, description } = alert;
  return {
    alert: name,
    expr,
    for: holds,
    labels: { severity },
    annotations: { summary, description, runbook_url: runbookOf(alert) },
  };
}

/** Text of the rule file. */
export function ruleFile(): string {
  const groups = alertGroups.map(({ name, alerts }) => ({ name, rules: alerts.map(ruleOf) }));
  const head = "# Written by tools/make-dashboards.ts from deploy/prometheus; its tests say that both agree.\n";
  return head + stringify({ groups }, { lineWidth: 0 });
}
