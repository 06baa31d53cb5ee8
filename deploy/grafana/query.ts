/**
 * The two sources that a panel asks: Prometheus for what is now and how fast, Postgres for what was and by whom. A job, a tenant, a worker's
 * attempt is never a label of a metric, so they come from Postgres.
 */
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import { DataqueryBuilder, PromQueryFormat, QueryEditorMode } from "@grafana/grafana-foundation-sdk/prometheus";

export type PanelQuery =
  | { readonly kind: "metrics"; readonly expr: string; readonly legend: string; readonly shape: "range" | "instant" | "table" }
  | { readonly kind: "rows"; readonly sql: string; readonly shape: "table" | "time_series" };

export type Source = { readonly type: string; readonly uid: string };

export const metricsSource: Source = { type: "prometheus", uid: "${metrics}" };
export const rowsSource: Source = { type: "grafana-postgresql-datasource", uid: "${database}" };

/** Over the dashboard's time; the legend names labels as `{{pool}}`. */
export function metrics(expr: string, legend: string): PanelQuery {
  return { kind: "metrics", expr, legend, shape: "range" };
}

/** Only now. */
export function metricsNow(expr: string, legend: string): PanelQuery {
  return { kind: "metrics", expr, legend, shape: "instant" };
}

/** Only now, each label a column. */
export function metricsTable(expr: string): PanelQuery {
  return { kind: "metrics", expr, legend: "", shape: "table" };
}

/** A row for each row. */
export function rows(sql: string): PanelQuery {
  return { kind: "rows", sql, shape: "table" };
}

/** Columns `time`, `metric` (the legend), `value`; ordered by time. */
export function rowsOverTime(sql: string): PanelQuery {
  return { kind: "rows", sql, shape: "time_series" };
}

/** The source of a panel: one for all of its queries. */
export function sourceOf(queries: readonly PanelQuery[]): Source {
  return queries.every(({ kind }) => kind === "rows") ? rowsSource : metricsSource;
}

/** As the panel's target. */
export function queryOf(query: PanelQuery, refId: string): Builder<Dataquery> {
  if (query.kind === "rows") return { build: () => rowsTarget(query, refId) };
  const target = new DataqueryBuilder()
    .datasource(metricsSource)
    .refId(refId)
    .editorMode(QueryEditorMode.Code)
    .expr(query.expr)
    .legendFormat(query.legend === "" ? "__auto" : query.legend);
  if (query.shape === "range") return target.range();
  return query.shape === "table" ? target.instant().format(PromQueryFormat.Table) : target.instant();
}

/** What Grafana's Postgres source keeps of a query; the SDK has no builder of it. */
function rowsTarget({ sql, shape }: Extract<PanelQuery, { kind: "rows" }>, refId: string): Dataquery {
  const target = { refId, datasource: rowsSource, editorMode: "code", rawQuery: true, format: shape, rawSql: sql };
  return Object.assign(target, { _implementsDataqueryVariant: () => undefined });
}

/** A gauge that every coordinator reads from Postgres and shows alike: once for each farm, then added up. */
export function stored(gauge: string, labels: string, by: string): string {
  return `sum by (${by}) (max by (farm, ${labels}) (${gauge}))`;
}

/** A quantile of a histogram by labels. */
export function quantile(q: number, histogram: string, by: string): string {
  const [name = "", selector = ""] = histogram.split(/(?=\{)/);
  return `histogram_quantile(${q}, sum by (le, ${by}) (rate(${name}_bucket${selector}[$__rate_interval])))`;
}
