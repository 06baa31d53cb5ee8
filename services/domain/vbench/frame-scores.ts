/**
 * The metrics that are the mean of a score per frame: aesthetic_quality and imaging_quality (vbench/aesthetic_quality.py, vbench/imaging_quality.py; spec
 * vbench §1.6, §1.7).
 *
 * Aesthetic: LAION's linear head on the normalized embedding of CLIP ViT-L/14, over 10; it is not clamped, and real pictures are outside 0..1. Imaging:
 * MUSIQ's score, about 0..100, as it is; only set scores divide it by 100.
 */
import { FarmError } from "../errors.ts";
import { dot, embeddingFault, normalize } from "./embeddings.ts";
import type { EmbeddingAccumulator } from "./frame-consistency.ts";
import { absent, mean, type MetricOutcome } from "./metric.ts";

/** A linear head on a CLIP embedding: weight float32 [D]. */
export type AestheticHead = { readonly weight: Float32Array; readonly bias: number };

export type ScoreAccumulator = {
  /** The next frame's score. */
  push(score: number): void;
  finish(): MetricOutcome;
};

const aestheticDivisor = 10;

/** The head's score of one embedding, over 10. */
export function aestheticScore(embedding: ArrayLike<number>, { weight, bias }: AestheticHead): number {
  return (dot(normalize(embedding), weight) + bias) / aestheticDivisor;
}

/** Takes the frames' embeddings of CLIP ViT-L/14 in order. */
export function aestheticQuality(head: AestheticHead): EmbeddingAccumulator {
  if (!Number.isFinite(head.bias)) throw new FarmError("MODEL_INVALID", { message: "the aesthetic head's bias is no finite number" });
  const scores: number[] = [];
  let fault = embeddingFault(head.weight, "the aesthetic head");
  return {
    push: (embedding) => {
      fault ??= embeddingFault(embedding, `frame ${scores.length}`);
      scores.push(aestheticScore(embedding, head));
    },
    finish: () => meanOf(scores, fault),
  };
}

/** Takes MUSIQ's scores of the frames in order. */
export function imagingQuality(): ScoreAccumulator {
  const scores: number[] = [];
  let fault: string | undefined;
  return {
    push: (score) => {
      if (!Number.isFinite(score)) fault ??= `the score of frame ${scores.length} is no finite number`;
      scores.push(score);
    },
    finish: () => meanOf(scores, fault),
  };
}

function meanOf(scores: readonly number[], fault: string | undefined): MetricOutcome {
  if (scores.length === 0) return absent("skipped", "the clip has no frame");
  if (fault !== undefined) return absent("nan", fault);
  return { status: "ok", value: mean(scores), series: { scores }, extra: { frames: scores.length } };
}
