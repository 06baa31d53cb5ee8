/**
 * How well a clip fits its prompt: overall_consistency (ViCLIP, one embedding of the eight middle frames; vbench/overall_consistency.py) and CLIP score
 * (CLIP ViT-B/32 on each of them; competitions/clip_score.py, the best documented candidate for the paper's column; spec vbench §1.8, §4).
 *
 * Both are cosines and may be negative: nothing is clamped.
 */
import { dot, embeddingFault, normalize } from "./embeddings.ts";
import type { EmbeddingAccumulator } from "./frame-consistency.ts";
import { absent, mean, metricNeeds, type MetricOutcome } from "./metric.ts";

/** Facts of the prompt's tokens that tell how much of it the score has seen. */
export type PromptTokens = { readonly tokens: number; readonly isTruncated: boolean };

/** The cosine of ViCLIP's two embeddings. */
export function overallConsistency(video: ArrayLike<number>, text: ArrayLike<number>, prompt: PromptTokens): MetricOutcome {
  const fault = embeddingFault(video, "the clip") ?? embeddingFault(text, "the prompt");
  if (fault !== undefined) return absent("nan", fault, { extra: { ...prompt } });
  return { status: "ok", value: dot(normalize(video), normalize(text)), series: {}, extra: { ...prompt } };
}

/** Takes the prompt's embedding and then those of the eight middle frames; a short clip's last frame counts as often as it is repeated. */
export function clipScore(text: ArrayLike<number>, prompt: PromptTokens): EmbeddingAccumulator {
  const reference = normalize(text);
  const cosines: number[] = [];
  let fault = embeddingFault(text, "the prompt");
  const extra = { ...prompt, variant: metricNeeds.clip_score.variant ?? "" };
  return {
    push: (embedding) => {
      fault ??= embeddingFault(embedding, `middle frame ${cosines.length}`);
      cosines.push(dot(reference, normalize(embedding)));
    },
    finish: () => {
      if (cosines.length === 0) return absent("skipped", "the clip has no frame", { extra });
      if (fault !== undefined) return absent("nan", fault, { extra });
      return { status: "ok", value: mean(cosines), series: { cosines }, extra };
    },
  };
}
