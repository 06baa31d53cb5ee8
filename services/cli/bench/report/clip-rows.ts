/**
 * The renders of a run as rows of a report: what was rendered, what became of it, its scores, its seconds.
 */
import type { MetricName } from "../../../domain/vbench/metric.ts";
import type { RunItem, Score } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { clipName, digitsOf } from "../clip-names.ts";
import { metricNameOf, scoreStatusWord } from "../metric-words.ts";
import { nameOf } from "../run-outputs.ts";
import { type ClipShape, shapeOf } from "./clip-shape.ts";

/** A metric of one clip, on VBench's scale of clips. */
export type ClipScore = {
  /** "ok", "nan", "error", "skipped" or "pending". */
  readonly status: string;
  /** With "ok". */
  readonly value?: number;
  /** Why there is no value. */
  readonly reason?: string;
  /** What VBench itself would have written, where that differs. */
  readonly vbenchValue?: number;
  readonly metricVersion: number;
  readonly variant: string;
  readonly modelDigest: string;
  readonly decodeProfile: string;
  readonly frames: number;
  readonly width: number;
  readonly height: number;
};

/** Seconds of one stage of one render. */
export type ClipStage = {
  readonly stage: string;
  readonly computeSeconds: number;
  readonly loadSeconds: number;
  readonly isReused: boolean;
};

/** One render. */
export type ClipRow = {
  readonly renderPosition: number;
  /** As of `bench run --out` and `bench export`, without ending. */
  readonly name: string;
  readonly row: number;
  readonly seedIndex: number;
  readonly seed: string;
  readonly kind: string;
  readonly caption: string;
  readonly referenceCaptions: readonly string[];
  readonly targetPath: string;
  readonly referencePaths: readonly string[];
  readonly state: string;
  readonly failure?: { readonly code: string; readonly message: string; readonly stage: string };
  /** Equal for the same clips, texts and seed, in whatever suite they stand. */
  readonly contentKey: string;
  /** Empty: there is no clip. */
  readonly videoSha256: string;
  /** Absent: no metric has seen it. */
  readonly shape?: ClipShape;
  readonly scores: Readonly<Partial<Record<MetricName, ClipScore>>>;
  readonly stages: readonly ClipStage[];
  /** Of its own tasks that made the clip, loading apart; absent while there are none. */
  readonly renderSeconds?: number;
};

/** In order of render position. */
export function clipRows(items: readonly RunItem[]): readonly ClipRow[] {
  const digits = digitsOf(Math.max(0, ...items.map(({ row }) => row?.position ?? 0)));
  return items.map((item) => clipRow(item, digits)).sort((left, right) => left.renderPosition - right.renderPosition);
}

function clipRow(item: RunItem, digits: number): ClipRow {
  const { row, renderPosition, seedIndex, seed, state, failureCode, failureMessage, failureStage, videoSha256 } = item;
  const stages = item.stages.map(({ stage, computeSeconds, loadSeconds, isReused }) => ({ stage, computeSeconds, loadSeconds, isReused }));
  const own = stages.filter(({ stage, isReused }) => !isReused && stage !== "panels" && !stage.startsWith("score/"));
  const shape = shapeOf(item.scores);
  return {
    renderPosition,
    name: clipName(nameOf(item), digits),
    row: row?.position ?? renderPosition,
    seedIndex,
    seed: seed.toString(),
    kind: row?.kind ?? "",
    caption: row?.caption ?? "",
    referenceCaptions: row?.referenceCaptions ?? [],
    targetPath: row?.targetPath ?? "",
    referencePaths: row?.referencePaths ?? [],
    state,
    ...(failureCode === "" ? {} : { failure: { code: failureCode, message: failureMessage, stage: failureStage } }),
    contentKey: contentKeyOf(item),
    videoSha256,
    ...(shape === undefined ? {} : { shape }),
    scores: Object.fromEntries(item.scores.flatMap((score) => scoreEntry(score))),
    stages,
    ...(own.length === 0 ? {} : { renderSeconds: own.reduce((sum, { computeSeconds }) => sum + computeSeconds, 0) }),
  };
}

function contentKeyOf({ row, seed }: RunItem): string {
  const { targetSha256 = "", referenceSha256s = [], caption = "", referenceCaptions = [], kind = "" } = row ?? {};
  return JSON.stringify([targetSha256, referenceSha256s, caption, referenceCaptions, kind, seed.toString()]);
}

function scoreEntry(score: Score): readonly (readonly [MetricName, ClipScore])[] {
  const metric = metricNameOf(score.metric);
  if (metric === undefined) return [];
  const { value, reason, vbenchValue, metricVersion, variant, modelDigest, decodeProfile, frames, width, height } = score;
  const status = scoreStatusWord(score.status);
  const facts = { metricVersion, variant, modelDigest, decodeProfile, frames, width, height };
  const found: ClipScore = {
    status,
    ...(status === "ok" && value !== undefined && Number.isFinite(value) ? { value } : {}),
    ...(reason === "" ? {} : { reason }),
    ...(vbenchValue === undefined ? {} : { vbenchValue }),
    ...facts,
  };
  return [[metric, found]];
}

/** A clip's value of a metric; undefined where it has none. */
export function valueOf(clip: ClipRow, metric: MetricName): number | undefined {
  return clip.scores[metric]?.value;
}
