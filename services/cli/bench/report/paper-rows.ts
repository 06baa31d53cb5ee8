/**
 * The paper's table with our row below its own (VAP Tab. 1): six columns in per cent, a gap for what was not measured.
 */
import { type PaperColumn, paperTable } from "../../../domain/vbench/paper-table.ts";
import type { MetricName } from "../../../domain/vbench/metric.ts";
import type { Preference } from "../../../gen/proto/vapfarm/v1/bench.ts";
import type { MetricSummary } from "./metric-summary.ts";

type Column = { readonly key: PaperColumn; readonly title: string; readonly metric?: MetricName };

/** The six columns, in the paper's order. */
export const tableColumns: readonly Column[] = [
  { key: "clipScore", title: "CLIP Score", metric: "clip_score" },
  { key: "motionSmoothness", title: "Motion Smoothness", metric: "motion_smoothness" },
  { key: "dynamicDegree", title: "Dynamic Degree", metric: "dynamic_degree" },
  { key: "aestheticQuality", title: "Aesthetic Quality", metric: "aesthetic_quality" },
  { key: "alignmentGemini", title: "Alignment Score" },
  { key: "preferenceRate", title: "Preference Rate" },
];

/** One line of the table. */
export type TableRow = { readonly method: string; readonly isOurs: boolean; readonly values: readonly (number | null)[] };

/** The table as data. */
export type PaperTable = { readonly columns: readonly string[]; readonly rows: readonly TableRow[]; readonly notes: readonly string[] };

type Ours = { readonly method: string; readonly metrics: readonly MetricSummary[]; readonly preferencePercent: number | undefined };

/** Published rows first, ours last. */
export function paperRows({ method, metrics, preferencePercent }: Ours): PaperTable {
  const published = paperTable.map((row) => ({
    method: row.method,
    isOurs: false,
    values: tableColumns.map(({ key }) => row.values[key] ?? null),
  }));
  const values = tableColumns.map(({ key, metric }) => {
    if (key === "preferenceRate") return preferencePercent ?? null;
    const value = metrics.find((summary) => summary.metric === metric)?.value;
    return value === undefined ? null : value * 100;
  });
  return {
    columns: tableColumns.map(({ title }) => title),
    rows: [...published, { method, isOurs: true, values }],
    notes: notesOf(metrics),
  };
}

function notesOf(metrics: readonly MetricSummary[]): readonly string[] {
  const variant = metrics.find(({ metric }) => metric === "clip_score")?.variant ?? "";
  return [
    "The paper's rows are its Tab. 1, 48 clips; what the farm knows no published number of is –.",
    ...(variant === "" ? [] : [`The paper does not say which CLIP its CLIP Score is; ours is ${variant}.`]),
    "The Alignment Score needs a judge that the farm does not run.",
  ];
}

/** The share of the votes of the method that is this run: of its label, its model or its id. */
export function shareOfRun(preference: Preference | undefined, names: readonly string[]): number | undefined {
  const wanted = names.map((name) => name.trim().toLowerCase());
  return preference?.shares.find(({ method }) => wanted.includes(method.trim().toLowerCase()))?.percent;
}
