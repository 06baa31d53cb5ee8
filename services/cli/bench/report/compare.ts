/**
 * Two sides, clip by clip: the same row and seed on both, their differences with bootstrap intervals, and what forbids or weakens it.
 *
 * Rows are the same when their content is, whatever suite they stand in; rows that are equal are paired in their order. A metric whose
 * version, variant, networks or decoding differ has no difference: its numbers measure different things. Files of VBench's are paired by
 * the name of the clip. Clips that differ in frame rate, frames or size are compared, and how many and in what is told.
 */
import { pairedDifference } from "../../../domain/vbench/bootstrap.ts";
import { type MetricName, metricNames } from "../../../domain/vbench/metric.ts";
import { clipScale, metricTitle } from "../metric-words.ts";
import { type ClipRow, valueOf } from "./clip-rows.ts";
import { type ClipShape, type ShapeMismatch, shapeMismatches } from "./clip-shape.ts";
import { bootstrapSeed } from "./metric-summary.ts";

/** A clip of the other side. */
export type OtherClip = {
  readonly key: string;
  readonly values: Readonly<Partial<Record<MetricName, number>>>;
  /** Undefined: not known. */
  readonly shape?: ClipShape | undefined;
};

/** The other side of a comparison. */
export type OtherSide = {
  /** How keys of this side's clips are made. */
  readonly pairBy: "content" | "name";
  readonly clips: readonly OtherClip[];
  /** What decides a metric's numbers, for each that is known of; undefined: not known of this side. */
  readonly identities: Readonly<Partial<Record<MetricName, readonly string[]>>> | undefined;
};

/** One metric on both sides, over the pairs; on VBench's scale of sets. */
export type MetricDifference = {
  readonly metric: MetricName;
  readonly title: string;
  readonly pairs: number;
  readonly ours?: number;
  readonly theirs?: number;
  /** Ours less theirs. */
  readonly difference?: number;
  readonly low?: number;
  readonly high?: number;
  /** Why there is no difference, or no interval. */
  readonly reason?: string;
};

/** A clip that lost against the other side, on VBench's scale of clips. */
export type Drop = {
  readonly renderPosition: number;
  readonly name: string;
  readonly ours: number;
  readonly theirs: number;
  readonly difference: number;
};

/** All of it. */
export type PairedComparison = {
  readonly pairedClips: number;
  readonly unpairedOurs: number;
  readonly unpairedTheirs: number;
  /** In what the clips of pairs differ besides their content; each weakens every metric. */
  readonly mismatches: readonly ShapeMismatch[];
  readonly metrics: readonly MetricDifference[];
  /** The largest drops of each metric. */
  readonly drops: readonly { readonly metric: MetricName; readonly title: string; readonly clips: readonly Drop[] }[];
};

const mostDrops = 5;

type Pair = { readonly clip: ClipRow; readonly other: OtherClip };

/** Compares clip by clip. */
export function compareClips(clips: readonly ClipRow[], other: OtherSide): PairedComparison {
  const pairs = pairUp(clips, other);
  const asked = metricNames.filter((metric) => isScored(metric, clips, other.clips));
  const metrics = asked.map((metric) => differenceOf(metric, pairs, refusalOf(metric, clips, other)));
  const comparable = metrics.filter(({ difference }) => difference !== undefined).map(({ metric }) => metric);
  return {
    pairedClips: pairs.length,
    unpairedOurs: clips.length - pairs.length,
    unpairedTheirs: other.clips.length - pairs.length,
    mismatches: shapeMismatches(pairs.map(({ clip, other: { shape } }) => ({ ours: clip.shape, theirs: shape }))),
    metrics,
    drops: comparable
      .map((metric) => ({ metric, title: metricTitle(metric), clips: dropsOf(metric, pairs) }))
      .filter((each) => each.clips.length > 0),
  };
}

function isScored(metric: MetricName, clips: readonly ClipRow[], others: readonly OtherClip[]): boolean {
  return clips.some(({ scores }) => scores[metric] !== undefined) || others.some(({ values }) => values[metric] !== undefined);
}

function pairUp(clips: readonly ClipRow[], { pairBy, clips: others }: OtherSide): readonly Pair[] {
  const waiting = new Map<string, OtherClip[]>();
  for (const other of others) {
    const same = waiting.get(other.key);
    if (same === undefined) waiting.set(other.key, [other]);
    else same.push(other);
  }
  return clips.flatMap((clip) => {
    const found = waiting.get(pairBy === "name" ? clip.name : clip.contentKey)?.shift();
    return found === undefined ? [] : [{ clip, other: found }];
  });
}

function differenceOf(metric: MetricName, pairs: readonly Pair[], refusal: string | undefined): MetricDifference {
  const values = valuesOf(metric, pairs).map(({ ours, theirs }) => ({ left: ours / clipScale(metric), right: theirs / clipScale(metric) }));
  const base = { metric, title: metricTitle(metric), pairs: values.length };
  if (values.length === 0) return { ...base, reason: refusal ?? "no clip has a value on both sides" };
  const ours = meanOf(values.map(({ left }) => left));
  const theirs = meanOf(values.map(({ right }) => right));
  if (refusal !== undefined) return { ...base, ours, theirs, reason: refusal };
  const { mean: difference = ours - theirs, interval, reason } = pairedDifference(values, { seed: bootstrapSeed });
  return { ...base, ours, theirs, difference, ...interval, ...(reason === undefined ? {} : { reason }) };
}

function valuesOf(metric: MetricName, pairs: readonly Pair[]) {
  return pairs.flatMap(({ clip, other }) => {
    const [ours, theirs] = [valueOf(clip, metric), other.values[metric]];
    return ours === undefined || theirs === undefined ? [] : [{ clip, ours, theirs }];
  });
}

function dropsOf(metric: MetricName, pairs: readonly Pair[]): readonly Drop[] {
  return valuesOf(metric, pairs)
    .map(({ clip: { renderPosition, name }, ours, theirs }) => ({ renderPosition, name, ours, theirs, difference: ours - theirs }))
    .filter(({ difference }) => difference < 0)
    .sort((left, right) => left.difference - right.difference)
    .slice(0, mostDrops);
}

function refusalOf(metric: MetricName, clips: readonly ClipRow[], { identities }: OtherSide): string | undefined {
  if (identities === undefined) return undefined;
  const ours = identitiesOf(clips)[metric] ?? [];
  const theirs = identities[metric] ?? [];
  if (ours.length === 0 || theirs.length === 0) return undefined;
  if (ours.join("\n") === theirs.join("\n")) return undefined;
  return `not comparable: ${ours.join(" and ")} here, ${theirs.join(" and ")} there`;
}

/** Metric → what decided its numbers, each once, sorted. */
export function identitiesOf(clips: readonly ClipRow[]): Readonly<Partial<Record<MetricName, readonly string[]>>> {
  const entries = metricNames.map((metric) => {
    const own = clips.flatMap(({ scores }) => scores[metric] ?? []).filter(({ status }) => status !== "pending" && status !== "error");
    const texts = own.map(({ metricVersion, variant, modelDigest, decodeProfile }) =>
      [`version ${metricVersion}`, variant, modelDigest === "" ? "" : `networks ${modelDigest.slice(0, 12)}`, decodeProfile]
        .filter((part) => part !== "")
        .join(" "),
    );
    return [metric, [...new Set(texts)].sort()] as const;
  });
  return Object.fromEntries(entries.filter(([, texts]) => texts.length > 0));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
