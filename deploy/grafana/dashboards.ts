/**
 * All dashboards, and the text that is committed for each: `node tools/make-dashboards.ts` writes them into the chart.
 */
import { benchmarksDashboard } from "./benchmarks.ts";
import { dashboardOf, type DashboardSpec } from "./dashboard.ts";
import { farmDashboard } from "./farm.ts";
import { jobsDashboard } from "./jobs.ts";
import { poolsDashboard } from "./pools.ts";
import { renderDashboard } from "./render.ts";

export const dashboards: readonly DashboardSpec[] = [farmDashboard, poolsDashboard, jobsDashboard, renderDashboard, benchmarksDashboard];

/** Its file in the chart. */
export function fileOf({ uid }: Pick<DashboardSpec, "uid">): string {
  return `${uid}.json`;
}

/** As Grafana imports it. */
export function jsonOf(spec: DashboardSpec): string {
  return `${JSON.stringify(dashboardOf(spec), undefined, 2)}\n`;
}
