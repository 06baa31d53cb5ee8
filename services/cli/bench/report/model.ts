/**
 * A report as data: what the farm told of a run, put together once; text, HTML, CSV and JSON only show it.
 *
 * Pure: no clock, no drawing without a seed, so a report of the same answers is the same. `ReportModel` is what `bench report --json` prints;
 * what there is nothing of is absent. Values of clips are on VBench's scale of clips (imaging_quality 0 .. 100, dynamic_degree 0 or 1), all
 * others on its scale of sets.
 */
import type { MetricName } from "../../../domain/vbench/metric.ts";
import type { GetRunResponse, Preference, Run, RunItem } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { RunReuse } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { wordsOf } from "../../../platform/words.ts";
import { metricNameOf, metricTitle } from "../metric-words.ts";
import { type ClipRow, clipRows, valueOf } from "./clip-rows.ts";
import { isLong, type ShapeMismatch } from "./clip-shape.ts";
import { compareClips, identitiesOf, type OtherSide, type PairedComparison } from "./compare.ts";
import { type MetricSummary, summarizeMetrics } from "./metric-summary.ts";
import { paperRows, type PaperTable, shareOfRun } from "./paper-rows.ts";
import { type StageSummary, summarizeStages } from "./stage-summary.ts";

/** A run as the farm tells it. */
export type RunSource = { readonly answer: GetRunResponse; readonly items: readonly RunItem[] };

/** What a run is compared with. */
export type Compared =
  | { readonly kind: "run"; readonly source: RunSource }
  | { readonly kind: "imported"; readonly name: string; readonly clips: OtherSide["clips"] };

/** What a report is made of. */
export type ReportInput = {
  readonly source: RunSource;
  readonly compared?: Compared | undefined;
  readonly preference?: Preference | undefined;
};

/** The run itself. */
export type RunFacts = {
  readonly runId: string;
  readonly label: string;
  readonly suiteId: string;
  readonly suiteName: string;
  readonly model: string;
  readonly modelDigest: string;
  readonly metricsModel: string;
  readonly hasTrainedWeights: boolean;
  readonly hasTrainedMetrics: boolean;
  readonly metrics: readonly MetricName[];
  readonly seeds: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly reuse: string;
  readonly state: string;
  readonly renders: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly endedScores: number;
  readonly scores: number;
  readonly settingsDigest: string;
  /** ISO 8601. */
  readonly createTime?: string;
  readonly endTime?: string;
};

/** Quality, Semantic, Total by VBench's constants. */
export type FinalFacts = {
  readonly quality: number;
  readonly semantic: number;
  readonly total: number;
  /** Dimensions that counted as 0: with any, none of the three is a real one. */
  readonly missing: readonly string[];
};

/** Against what, what weakens it, and the numbers. */
export type ComparisonFacts = PairedComparison & {
  readonly against: { readonly kind: "run" | "imported"; readonly name: string; readonly run?: RunFacts };
  readonly warnings: readonly string[];
};

/** The worst clips of a metric, the worst first. */
export type WorstClips = {
  readonly metric: MetricName;
  readonly title: string;
  readonly clips: readonly { readonly renderPosition: number; readonly name: string; readonly value: number }[];
};

/** A whole report. */
export type ReportModel = {
  readonly format: "vapfarm-bench-report/1";
  readonly run: RunFacts;
  /** To be read before any number. */
  readonly warnings: readonly string[];
  readonly paperTable: PaperTable;
  readonly metrics: readonly MetricSummary[];
  readonly finalScores?: FinalFacts;
  readonly preference?: { readonly name: string; readonly voters: number; readonly votes: number; readonly shares: readonly Share[] };
  readonly comparison?: ComparisonFacts;
  readonly worst: readonly WorstClips[];
  readonly stages: readonly StageSummary[];
  readonly clips: readonly ClipRow[];
};

type Share = {
  readonly method: string;
  readonly percent: number;
  readonly alignmentPercent: number;
  readonly qualityPercent: number;
  readonly selections: number;
};

const mostWorst = 5;

/** The report of a run whose answer has a run in it. */
export function buildReport(run: Run, { source, compared, preference }: ReportInput): ReportModel {
  const facts = runFacts(run);
  const clips = clipRows(source.items);
  const metrics = summarizeMetrics(clips, source.answer.setScores, facts.metrics);
  const method = run.label === "" ? `${run.model} (this run)` : run.label;
  const preferencePercent = shareOfRun(preference, [run.label, run.model, run.runId]);
  const { finalScores } = source.answer;
  return {
    format: "vapfarm-bench-report/1",
    run: facts,
    warnings: [...warningsOf(facts), ...longClipsWarning(facts, clips)],
    paperTable: paperRows({ method, metrics, preferencePercent }),
    metrics,
    ...(finalScores === undefined || metrics.length === 0 ? {} : { finalScores: { ...finalScores } }),
    ...(preference === undefined ? {} : { preference: preferenceFacts(preference) }),
    ...(compared === undefined ? {} : { comparison: comparisonOf(facts, clips, compared) }),
    worst: worstClips(clips, metrics),
    stages: summarizeStages(clips),
    clips,
  };
}

const reuseWord = wordsOf(RunReuse, "RUN_REUSE_");

function runFacts(run: Run): RunFacts {
  const { runId, label, suiteId, suiteName, model, modelDigest, metricsModel, hasTrainedWeights, hasTrainedMetrics } = run;
  const { seeds, steps, guidanceScale, state, endedScores, settingsDigest, createTime, endTime } = run;
  return {
    ...{ runId, label, suiteId, suiteName, model, modelDigest, metricsModel, hasTrainedWeights, hasTrainedMetrics },
    metrics: run.metrics.flatMap((metric) => metricNameOf(metric) ?? []),
    ...{ seeds, steps, guidanceScale, reuse: reuseWord(run.reuse), state },
    renders: run.itemCount,
    succeeded: run.succeededCount,
    failed: run.failedCount,
    cancelled: run.cancelledCount,
    endedScores,
    scores: run.scoreCount,
    settingsDigest,
    ...(createTime === undefined ? {} : { createTime: createTime.toISOString() }),
    ...(endTime === undefined ? {} : { endTime: endTime.toISOString() }),
  };
}

function warningsOf(run: RunFacts): readonly string[] {
  const open = run.renders - run.succeeded - run.failed - run.cancelled;
  return [
    ...(run.hasTrainedWeights
      ? []
      : [`RANDOM WEIGHTS: ${run.model} was never trained; its clips are noise, and no score of them means anything`]),
    ...(run.metrics.length === 0 || run.hasTrainedMetrics
      ? []
      : [`RANDOM METRIC NETWORKS: ${run.metricsModel} was never trained; scores show that the arithmetic runs, and nothing else`]),
    ...(open > 0 ? [`the run has not ended: ${open} of ${run.renders} renders are open`] : []),
    ...(run.failed > 0
      ? [`${run.failed} of ${run.renders} renders failed: the values are of the others, and of what was scored of these before they failed`]
      : []),
    ...(run.cancelled > 0
      ? [
          `${run.cancelled} of ${run.renders} renders were cancelled: the values are of the others, and of what was scored of these before that`,
        ]
      : []),
  ];
}

function longClipsWarning({ metrics }: RunFacts, clips: readonly ClipRow[]): readonly string[] {
  const known = clips.flatMap(({ shape }) => shape ?? []);
  const long = known.filter(isLong).length;
  if (long === 0 || metrics.length === 0) return [];
  return [
    `${long} of ${known.length} clips last 5 s or more: VBench's leaderboard splits such clips (VBench-Long), these scores are of whole ones and are not comparable to it`,
  ];
}

function preferenceFacts({ name, voters, votes, shares }: Preference): NonNullable<ReportModel["preference"]> {
  return { name, voters, votes, shares: shares.map((share) => ({ ...share })) };
}

/** Of few clips not all are the worst. */
function worstOf(clips: number): number {
  return Math.min(mostWorst, Math.max(1, Math.ceil(clips / 4)));
}

function worstClips(clips: readonly ClipRow[], metrics: readonly MetricSummary[]): readonly WorstClips[] {
  return metrics
    .map(({ metric, title }) => {
      const scored = clips.flatMap((clip) => {
        const value = valueOf(clip, metric);
        return value === undefined ? [] : [{ renderPosition: clip.renderPosition, name: clip.name, value }];
      });
      return { metric, title, clips: scored.sort((left, right) => left.value - right.value).slice(0, worstOf(scored.length)) };
    })
    .filter((worst) => worst.clips.length > 0);
}

function comparisonOf(ours: RunFacts, clips: readonly ClipRow[], compared: Compared): ComparisonFacts {
  if (compared.kind === "imported") {
    const other: OtherSide = { pairBy: "name", clips: compared.clips, identities: undefined };
    const warnings = [
      `${compared.name} is a file from elsewhere: which networks, settings and clips it is of is not known; only names of clips are compared`,
    ];
    return { ...compareClips(clips, other), against: { kind: "imported", name: compared.name }, warnings };
  }
  const { run } = compared.source.answer;
  const theirClips = clipRows(compared.source.items);
  const others = theirClips.map((clip) => ({
    key: clip.contentKey,
    shape: clip.shape,
    values: Object.fromEntries(
      Object.entries(clip.scores).flatMap(([metric, { value }]) => (value === undefined ? [] : [[metric, value]])),
    ),
  }));
  const paired = compareClips(clips, { pairBy: "content", clips: others, identities: identitiesOf(theirClips) });
  const facts = run === undefined ? undefined : runFacts(run);
  const name = facts === undefined ? "" : facts.label === "" ? facts.runId : facts.label;
  const warnings = [
    ...paired.mismatches.map((mismatch) => mismatchWarning(mismatch, paired.pairedClips)),
    ...(facts === undefined ? [] : differences(ours, facts)),
    ...paired.metrics.flatMap(({ metric, reason }) =>
      reason?.startsWith("not comparable") === true ? [`${metricTitle(metric)} ${reason}`] : [],
    ),
  ];
  return { ...paired, against: { kind: "run", name, ...(facts === undefined ? {} : { run: facts }) }, warnings };
}

function mismatchWarning({ what, pairs, ours, theirs }: ShapeMismatch, all: number): string {
  const shownPair = `${pairs === 1 ? "" : "the first "}${ours} here, ${theirs} there`;
  return `CLIPS DIFFER IN THEIR ${what.toUpperCase()}: ${pairs} of ${all} pairs (${shownPair}); metrics depend on it, dynamic degree above all`;
}

/** What else than the model may be why numbers differ. */
function differences(ours: RunFacts, theirs: RunFacts): readonly string[] {
  const compared: readonly (readonly [string, string | number | boolean, string | number | boolean])[] = [
    ["suites", ours.suiteId, theirs.suiteId],
    ["denoise steps", ours.steps, theirs.steps],
    ["guidance scales", ours.guidanceScale, theirs.guidanceScale],
    ["metric repositories", ours.metricsModel, theirs.metricsModel],
    ["reuse (timings are not comparable)", ours.reuse, theirs.reuse],
    ["weights (one side is random)", ours.hasTrainedWeights, theirs.hasTrainedWeights],
    ["metric weights (one side is random)", ours.hasTrainedMetrics, theirs.hasTrainedMetrics],
  ];
  const found = compared
    .filter(([, left, right]) => left !== right)
    .map(([what, left, right]) => `the runs have different ${what}: ${shown(left)} here, ${shown(right)} there`);
  const isUnexplained = found.length === 0 && ours.modelDigest === theirs.modelDigest && ours.settingsDigest !== theirs.settingsDigest;
  return isUnexplained ? ["the runs differ in settings that are not told one by one (scheduler or networks)"] : found;
}

function shown(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "trained" : "random";
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value) ? value.slice(0, 12) : String(value === "" ? "none" : value);
}
