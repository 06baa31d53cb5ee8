/**
 * A report as text for a terminal or a pipe. Warnings stand first: whoever reads a number has read them.
 */
import type { Paint } from "../../colour.ts";
import { type Column, plainText, renderTable, type TableOptions } from "../../table.ts";
import { doAggregatorsDiffer, numberText } from "../set-score-table.ts";
import type { MetricDifference } from "./compare.ts";
import type { MetricSummary } from "./metric-summary.ts";
import type { ComparisonFacts, FinalFacts, ReportModel } from "./model.ts";
import type { TableRow } from "./paper-rows.ts";
import type { StageSummary } from "./stage-summary.ts";

/** Where it is shown. */
export type TextOptions = { readonly width: number | undefined; readonly paint: Paint };

/** The whole report. */
export function reportText(report: ReportModel, options: TextOptions): string {
  const { paint } = options;
  const parts = [
    runLines(report, paint),
    section("The paper's table, in per cent", paperText(report, options), paint),
    report.metrics.length === 0 ? "nothing was measured" : section("All metrics", metricsText(report.metrics, options), paint),
    report.finalScores === undefined ? "" : section("VBench's totals", finalText(report.finalScores), paint),
    report.preference === undefined ? "" : section(`Votes ${report.preference.name}`, preferenceText(report, options), paint),
    report.comparison === undefined
      ? ""
      : section(`Against ${report.comparison.against.name}`, comparisonText(report.comparison, options), paint),
    report.worst.length === 0 ? "" : section("Worst clips", worstText(report), paint),
    report.stages.length === 0 ? "" : section("Seconds per stage", renderTable(report.stages, stageColumns, options), paint),
    failuresText(report, paint),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function section(title: string, text: string, paint: Paint): string {
  return `${paint("bold", plainText(title))}\n${text}`;
}

function runLines({ run, warnings }: ReportModel, paint: Paint): string {
  const name = run.label === "" ? "" : ` "${run.label}"`;
  return [
    paint("bold", plainText(`run ${run.runId}${name}: ${run.suiteName} on ${run.model}`)),
    plainText(
      `${run.state}; renders ${run.succeeded}/${run.renders} succeeded; scores ${run.endedScores}/${run.scores}; steps ${run.steps}, guidance ${run.guidanceScale}, seeds ${run.seeds}, reuse ${run.reuse}`,
    ),
    ...warnings.map((text) => paint(["bold", "yellow"], plainText(`! ${text}`))),
  ].join("\n");
}

function paperText({ paperTable }: ReportModel, options: TextOptions): string {
  const columns: readonly Column<TableRow>[] = [
    { title: "method", cell: ({ method, isOurs }) => (isOurs ? { text: method, format: "bold" } : method), weight: 9, least: 16 },
    ...paperTable.columns.map((title, index): Column<TableRow> => ({
      title,
      cell: ({ values }) => numberText(values[index] ?? undefined, 2),
      align: "right",
      weight: 8 - index,
    })),
  ];
  return [renderTable(paperTable.rows, columns, options), ...paperTable.notes.map(plainText)].join("\n");
}

const metricColumns: readonly Column<MetricSummary>[] = [
  { title: "metric", cell: ({ metric }) => metric, weight: 9 },
  { title: "value", cell: ({ value }) => numberText(value), align: "right", weight: 8 },
  {
    title: "95 % of the mean",
    cell: ({ interval }) => (interval === undefined ? "" : `${numberText(interval.low)} .. ${numberText(interval.high)}`),
    weight: 4,
  },
  { title: "n", cell: ({ count }) => String(count), align: "right", weight: 7 },
  {
    title: "missing",
    cell: ({ missing }) => (missing === 0 ? "" : { text: String(missing), format: "yellow" }),
    align: "right",
    weight: 7,
  },
  { title: "variant", cell: ({ variant }) => variant, weight: 2 },
];

function metricsText(metrics: readonly MetricSummary[], options: TableOptions): string {
  const both = metrics.filter((metric) =>
    doAggregatorsDiffer({ ...metric, videoMean: metric.videoMean, frameWeighted: metric.frameWeighted, vbench: metric.aggregator }),
  );
  return [renderTable(metrics, metricColumns, options), ...both.map(aggregatesText), ...missingLines(metrics)].join("\n");
}

function aggregatesText({ metric, videoMean, frameWeighted, aggregator }: MetricSummary): string {
  const written = aggregator === "video_mean" ? "mean of clips" : "frame-weighted one";
  const both = `mean of clips ${numberText(videoMean)}, frame-weighted ${numberText(frameWeighted)}`;
  return `${metric}: ${both} (one process of VBench writes the ${written})`;
}

/** One line for each reason, with the metrics that have it so often. */
function missingLines(metrics: readonly MetricSummary[]): readonly string[] {
  const told = new Map<string, string[]>();
  for (const { metric, reasons } of metrics) {
    for (const { status, reason, count } of reasons) {
      const text = `${count} ${status}: ${reason}`;
      told.set(text, [...(told.get(text) ?? []), metric]);
    }
  }
  return [...told].map(([text, names]) => plainText(`${names.length === metrics.length ? "all metrics" : names.join(", ")}: ${text}`));
}

function finalText({ quality, semantic, total, missing }: FinalFacts): string {
  const values = `Quality ${numberText(quality)}  Semantic ${numberText(semantic)}  Total ${numberText(total)}`;
  return missing.length === 0
    ? values
    : `${values}\nnot VBench's totals: ${missing.length} dimensions were not measured and count as 0: ${missing.join(", ")}`;
}

function preferenceText({ preference }: ReportModel, options: TextOptions): string {
  const { voters = 0, votes = 0, shares = [] } = preference ?? {};
  const columns: readonly Column<(typeof shares)[number]>[] = [
    { title: "method", cell: ({ method }) => method, weight: 5, least: 12 },
    { title: "share %", cell: ({ percent }) => percent.toFixed(1), align: "right", weight: 4 },
    { title: "alignment %", cell: ({ alignmentPercent }) => alignmentPercent.toFixed(1), align: "right", weight: 2 },
    { title: "quality %", cell: ({ qualityPercent }) => qualityPercent.toFixed(1), align: "right", weight: 2 },
    { title: "selections", cell: ({ selections }) => String(selections), align: "right", weight: 3 },
  ];
  return `${renderTable(shares, columns, options)}\n${votes} votes of ${voters} people`;
}

const differenceColumns: readonly Column<MetricDifference>[] = [
  { title: "metric", cell: ({ metric }) => metric, weight: 9 },
  { title: "this run", cell: ({ ours }) => numberText(ours), align: "right", weight: 5 },
  { title: "other", cell: ({ theirs }) => numberText(theirs), align: "right", weight: 5 },
  { title: "difference", cell: ({ difference }) => signedText(difference), align: "right", weight: 8 },
  { title: "95 %", cell: ({ low, high }) => (low === undefined ? "" : `${signedText(low)} .. ${signedText(high)}`), weight: 7 },
  { title: "pairs", cell: ({ pairs }) => String(pairs), align: "right", weight: 6 },
  { title: "", cell: ({ reason }) => reason ?? "", weight: 1, least: 12 },
];

function comparisonText(comparison: ComparisonFacts, options: TextOptions): string {
  const { warnings, pairedClips, unpairedOurs, unpairedTheirs, metrics, drops } = comparison;
  const unpaired = unpairedOurs + unpairedTheirs === 0 ? "" : `; without a partner: ${unpairedOurs} here, ${unpairedTheirs} there`;
  return [
    ...warnings.map((text) => options.paint(["bold", "yellow"], plainText(`! ${text}`))),
    `${pairedClips} clips of the same row and seed on both sides${unpaired}; differences are this run less the other`,
    ...(metrics.length === 0 ? [] : [renderTable(metrics, differenceColumns, options)]),
    ...drops.map(({ metric, clips }) =>
      plainText(`largest drops of ${metric}: ${clips.map(({ name, difference }) => `${name} ${signedText(difference)}`).join(", ")}`),
    ),
  ].join("\n");
}

/** Always with its sign; five decimals. */
export function signedText(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(5);
  return Number(text) === 0 ? "0.00000" : `${value < 0 ? "-" : "+"}${text}`;
}

function worstText({ worst }: ReportModel): string {
  return worst
    .map(({ metric, clips }) => plainText(`${metric}: ${clips.map(({ name, value }) => `${name} ${numberText(value, 4)}`).join(", ")}`))
    .join("\n");
}

const stageColumns: readonly Column<StageSummary>[] = [
  { title: "stage", cell: ({ stage }) => stage, weight: 9 },
  { title: "computed", cell: ({ computed }) => String(computed), align: "right", weight: 6 },
  { title: "reused", cell: ({ reused }) => (reused === 0 ? "" : String(reused)), align: "right", weight: 5 },
  { title: "mean", cell: ({ meanSeconds }) => numberText(meanSeconds, 3), align: "right", weight: 8 },
  { title: "median", cell: ({ medianSeconds }) => numberText(medianSeconds, 3), align: "right", weight: 4 },
  { title: "largest", cell: ({ largestSeconds }) => numberText(largestSeconds, 3), align: "right", weight: 3 },
  { title: "total", cell: ({ totalSeconds }) => numberText(totalSeconds, 2), align: "right", weight: 7 },
  { title: "loading", cell: ({ loadSeconds }) => numberText(loadSeconds, 2), align: "right", weight: 2 },
];

function failuresText({ clips }: ReportModel, paint: Paint): string {
  const failed = clips.filter(({ failure }) => failure !== undefined);
  if (failed.length === 0) return "";
  const lines = failed.map(({ name, failure }) =>
    plainText(`${name}: ${failure?.stage ?? ""} ${failure?.code ?? ""}: ${failure?.message ?? ""}`),
  );
  return section("Renders that failed", lines.join("\n"), paint);
}
