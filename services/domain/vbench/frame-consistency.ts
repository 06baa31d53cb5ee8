/**
 * subject_consistency (DINO) and background_consistency (CLIP ViT-B/32): how like its predecessor and the first frame each frame is
 * (vbench/subject_consistency.py, vbench/background_consistency.py; spec vbench §1.1, §1.2).
 *
 * s_i = (cos⁺(z_{i−1}, z_i) + cos⁺(z_0, z_i)) / 2 for i ≥ 1, cos⁺ = max(0, cosine); the value is their mean. `video_sim` and `cnt_per_video` are
 * their sum and number: frame-weighted set scores are made of them.
 */
import { cosine, embeddingFault, normalize, positive } from "./embeddings.ts";
import { absent, type MetricOutcome } from "./metric.ts";

export type EmbeddingAccumulator = {
  /** The next frame's embedding, as the network gives it. */
  push(embedding: ArrayLike<number>): void;
  finish(): MetricOutcome;
};

type Consistency = { readonly toPrevious: number[]; readonly toFirst: number[] };

/** Takes a clip's embeddings in order, holding two of them. */
export function frameConsistency(): EmbeddingAccumulator {
  const cosines: Consistency = { toPrevious: [], toFirst: [] };
  let first: Float64Array | undefined;
  let previous: Float64Array | undefined;
  let frames = 0;
  let fault: string | undefined;
  return {
    push: (embedding) => {
      fault ??= embeddingFault(embedding, `frame ${frames}`);
      frames += 1;
      const z = normalize(embedding);
      first ??= z;
      if (previous !== undefined) {
        cosines.toPrevious.push(cosine(previous, z));
        cosines.toFirst.push(cosine(first, z));
      }
      previous = z;
    },
    finish: () => outcomeOf(cosines, frames, fault),
  };
}

function outcomeOf({ toPrevious, toFirst }: Consistency, frames: number, fault: string | undefined): MetricOutcome {
  if (frames < 2) return absent("skipped", `the clip has ${frames} frames, at least 2 are compared; VBench ends with ZeroDivisionError`);
  const similarities = toPrevious.map((toLast, index) => (positive(toLast) + positive(toFirst[index] ?? NaN)) / 2);
  const sum = similarities.reduce((total, similarity) => total + similarity, 0);
  const value = sum / similarities.length;
  if (fault !== undefined) return absent("nan", fault, { vbenchValue: value });
  return {
    status: "ok",
    value,
    series: { similarities, toPrevious, toFirst },
    extra: { video_sim: sum, cnt_per_video: similarities.length },
  };
}
