/**
 * Panels as data, and how each becomes one of Grafana's: every dashboard looks alike because no panel is built elsewhere.
 *
 * Invariants: each panel has a title in plain words, a description that says what to look for, a unit, and a legend on each query; an
 * address in the RUNBOOK is `${runbook}` and an anchor, so that a site sets it once.
 */
import { PanelBuilder as BarChart } from "@grafana/grafana-foundation-sdk/barchart";
import { PanelBuilder as BarGauge } from "@grafana/grafana-foundation-sdk/bargauge";
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import {
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardLinkBuilder,
  DashboardLinkType,
  type GridPos,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { PanelBuilder as Stat } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as Table } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as Timeseries } from "@grafana/grafana-foundation-sdk/timeseries";
import { type PanelQuery, queryOf, sourceOf } from "./query.ts";

/** From which value on which colour; the first has none. */
export type Threshold = readonly [from: number | undefined, colour: "green" | "yellow" | "orange" | "red" | "blue"];

export type PanelSpec = {
  /** `series`: over time; `stack`: the same, added up; `bars`: newest values beside each other; `chart`: a bar for each row. */
  readonly kind: "series" | "stack" | "stat" | "bars" | "table" | "chart";
  readonly title: string;
  readonly description: string;
  /** One of Grafana's units. */
  readonly unit: string;
  /** Of 24 columns. */
  readonly width: number;
  readonly queries: readonly PanelQuery[];
  readonly thresholds?: readonly Threshold[];
  readonly most?: number;
  /** Heading of the RUNBOOK that says what to do. */
  readonly runbook?: string;
  /** Columns of a table by their units; numbers in `unit` otherwise. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Column → address, with `${__data.fields.name}` for a row's value. */
  readonly opens?: { readonly column: string; readonly url: string };
};

/** GitHub's anchor of a heading. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

/** The panel at its place. */
export function panelOf(spec: PanelSpec, place: GridPos): Builder<Panel> {
  const panel = shapeOf(spec)
    .title(spec.title)
    .description(spec.description)
    .datasource(sourceOf(spec.queries))
    .gridPos(place)
    .thresholds(thresholdsOf(spec))
    .noValue("none");
  if (spec.unit !== "none") panel.unit(spec.unit);
  if (spec.most !== undefined) panel.max(spec.most);
  if (spec.runbook !== undefined) {
    const link = new DashboardLinkBuilder(`RUNBOOK: ${spec.runbook}`).type(DashboardLinkType.Link).targetBlank(true);
    panel.links([link.url(`\${runbook}#${anchorOf(spec.runbook)}`)]);
  }
  panel.targets(spec.queries.map((query, index) => queryOf(query, String.fromCharCode(65 + index))));
  return panel;
}

/** What this file uses of every kind of panel; each returns itself. */
type Shape = Builder<Panel> & {
  title(title: string): Shape;
  description(description: string): Shape;
  datasource(source: { readonly type: string; readonly uid: string }): Shape;
  gridPos(place: GridPos): Shape;
  thresholds(thresholds: ThresholdsConfigBuilder): Shape;
  noValue(text: string): Shape;
  unit(unit: string): Shape;
  max(most: number): Shape;
  links(links: readonly Builder<unknown>[]): Shape;
  targets(targets: readonly Builder<Dataquery>[]): Shape;
};

function thresholdsOf({ thresholds = [[undefined, "green"]] }: PanelSpec): ThresholdsConfigBuilder {
  const steps = thresholds.map(([from, color]) => ({ value: from ?? null, color }));
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}

function shapeOf(spec: PanelSpec): Shape {
  switch (spec.kind) {
    case "series":
      return seriesOf(spec);
    case "stack":
      return seriesOf(spec).fillOpacity(30).stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
    case "stat":
      return new Stat().graphMode(BigValueGraphMode.Area).reduceOptions(newest());
    case "bars":
      return new BarGauge().orientation(VizOrientation.Horizontal).min(0).reduceOptions(newest());
    case "chart":
      return new BarChart().orientation(VizOrientation.Horizontal).stacking(StackingMode.Normal).legend(legend());
    case "table":
      return tableOf(spec);
  }
}

function newest(): ReduceDataOptionsBuilder {
  return new ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false);
}

function legend(): VizLegendOptionsBuilder {
  return new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).showLegend(true);
}

/** A line is broken where nothing was scraped; points show where there are few, as of benchmark runs. */
function seriesOf({ thresholds }: PanelSpec): Timeseries {
  const panel = new Timeseries()
    .min(0)
    .lineWidth(1)
    .fillOpacity(8)
    .showPoints(VisibilityMode.Auto)
    .legend(legend())
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (thresholds === undefined) return panel;
  return panel.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
}

function tableOf({ columns = {}, opens }: PanelSpec): Table {
  const panel = new Table().filterable(true);
  for (const [name, unit] of Object.entries(columns)) panel.overrideByName(name, [{ id: "unit", value: unit }]);
  if (opens !== undefined) {
    panel.overrideByName(opens.column, [{ id: "links", value: [{ title: "Open", url: opens.url }] }]);
  }
  return panel;
}
