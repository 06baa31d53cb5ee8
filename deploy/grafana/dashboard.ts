/**
 * A dashboard as data, and how it becomes Grafana's: rows of panels on 24 columns, the same variables first in each, links to the others.
 */
import {
  ConstantVariableBuilder,
  CustomVariableBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { FarmError } from "../../services/domain/errors.ts";
import { panelOf, type PanelSpec } from "./panel.ts";
import { metricsSource, rowsSource } from "./query.ts";

/** `labels`: values of a label of a metric; `rows`: one column of a statement, or `__text` and `__value`. */
export type Variable = {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** One value, or any number with “All”. */
  readonly choice: "one" | "many";
} & (
  | { readonly kind: "labels"; readonly metric: string; readonly of: string }
  | { readonly kind: "rows"; readonly sql: string }
  | { readonly kind: "fixed"; readonly values: readonly string[] }
);

export type DashboardSpec = {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly from: string;
  readonly refresh: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly RowSpec[];
};

export type RowSpec = {
  readonly title: string;
  /** Lines of panels, each 24 columns wide. */
  readonly lines: readonly { readonly height: number; readonly panels: readonly PanelSpec[] }[];
};

const columns = 24;

/** Which farms: a label that the scrape adds; where it does not, “All” matches. */
export const farmVariable: Variable = {
  name: "farm",
  label: "Farm",
  description: "Label `farm` that the scrape adds to each target",
  choice: "many",
  kind: "labels",
  metric: "vapfarm_build_info",
  of: "farm",
};

export const poolVariable: Variable = {
  name: "pool",
  label: "Pool",
  description: "Pools of the chosen farms",
  choice: "many",
  kind: "labels",
  metric: 'vapfarm_ready_tasks{farm=~"$farm"}',
  of: "pool",
};

/** Grafana's model of it. Throws FIELD_INVALID for a line that is not 24 columns wide. */
export function dashboardOf(spec: DashboardSpec): Dashboard {
  const builder = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags(["vapfarm"])
    .time({ from: spec.from, to: "now" })
    .refresh(spec.refresh)
    .timezone("browser")
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([...sources(), ...spec.variables.map(variableOf)])
    .links([
      new DashboardLinkBuilder("vapfarm")
        .type(DashboardLinkType.Dashboards)
        .tags(["vapfarm"])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    ]);
  let y = 0;
  for (const row of spec.rows) {
    builder.withRow(new RowBuilder(row.title).gridPos({ x: 0, y, w: columns, h: 1 }));
    y += 1;
    for (const { height, panels } of row.lines) {
      for (const [index, panel] of panels.entries()) {
        builder.withPanel(panelOf(panel, { x: widthOf(panels.slice(0, index)), y, w: panel.width, h: height }));
      }
      if (widthOf(panels) !== columns) throw new FarmError("FIELD_INVALID", { message: `a line of “${row.title}” is not ${columns} wide` });
      y += height;
    }
  }
  return numbered(builder.build());
}

function widthOf(panels: readonly PanelSpec[]): number {
  return panels.reduce((sum, { width }) => sum + width, 0);
}

/** Ids in order, so that a link to a panel lives as long as its place. */
function numbered(dashboard: Dashboard): Dashboard {
  for (const [index, panel] of (dashboard.panels ?? []).entries()) panel.id = index + 1;
  return dashboard;
}

/** Which data sources, and where the RUNBOOK is read. */
function sources() {
  return [
    new DatasourceVariableBuilder("metrics").label("Metrics").description("Prometheus that scrapes the farm").type("prometheus"),
    new DatasourceVariableBuilder("database")
      .label("Database")
      .description("Postgres of the farm, as the role of deploy/grafana/role.sql")
      .type(rowsSource.type),
    new ConstantVariableBuilder("runbook").description("Address of deploy/RUNBOOK.md at this site").value("deploy/RUNBOOK.md"),
  ];
}

function variableOf(variable: Variable): QueryVariableBuilder | CustomVariableBuilder {
  const { name, label, description, choice } = variable;
  if (variable.kind === "fixed") {
    return new CustomVariableBuilder(name).label(label).description(description).values(variable.values.join(","));
  }
  const builder = new QueryVariableBuilder(name)
    .label(label)
    .description(description)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(choice === "many")
    .includeAll(choice === "many");
  if (variable.kind === "rows") return builder.datasource(rowsSource).query(variable.sql);
  // A target without the label is in “All” too.
  const query = { qryType: 1, query: `label_values(${variable.metric}, ${variable.of})`, refId: name };
  return builder.datasource(metricsSource).query(query).allValue(".*").sort(VariableSort.AlphabeticalAsc);
}
