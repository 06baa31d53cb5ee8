/**
 * i2v_subject of VBench-I2V: how like the reference image and their predecessors the frames are, by DINO (vbench2_beta_i2v/i2v_subject.py; spec vbench
 * §1.9).
 *
 * a_i = cos⁺(image, z_i), c_i = cos⁺(z_{i−1}, z_i) for i ≥ 1; the value is 0.4·max(a) + 0.3·mean(c) + 0.3·min(c). So the image enters only through
 * the frame that is most like it.
 */
import { cosine, embeddingFault, normalize, positive } from "./embeddings.ts";
import type { EmbeddingAccumulator } from "./frame-consistency.ts";
import { absent, mean, type MetricOutcome } from "./metric.ts";

const imageWeight = 0.4;
const meanWeight = 0.3;
const minWeight = 0.3;

/** Takes the image's embedding and then the frames', holding two of them. */
export function i2vSubject(image: ArrayLike<number>): EmbeddingAccumulator {
  const reference = normalize(image);
  const toImage: number[] = [];
  const toPrevious: number[] = [];
  let previous: Float64Array | undefined;
  let fault = embeddingFault(image, "the reference image");
  return {
    push: (embedding) => {
      fault ??= embeddingFault(embedding, `frame ${toImage.length}`);
      const z = normalize(embedding);
      toImage.push(positive(cosine(reference, z)));
      if (previous !== undefined) toPrevious.push(positive(cosine(previous, z)));
      previous = z;
    },
    finish: () => outcomeOf(toImage, toPrevious, fault),
  };
}

function outcomeOf(toImage: readonly number[], toPrevious: readonly number[], fault: string | undefined): MetricOutcome {
  if (toPrevious.length === 0) {
    return absent("skipped", `the clip has ${toImage.length} frames, at least 2 are compared; VBench ends with ValueError`);
  }
  const best = toImage.reduce((left, right) => Math.max(left, right));
  const least = toPrevious.reduce((left, right) => Math.min(left, right));
  const average = mean(toPrevious);
  const value = imageWeight * best + meanWeight * average + minWeight * least;
  if (fault !== undefined) return absent("nan", fault, { vbenchValue: value });
  const extra = { maxToImage: best, meanToPrevious: average, minToPrevious: least };
  return { status: "ok", value, series: { toImage, toPrevious }, extra };
}
