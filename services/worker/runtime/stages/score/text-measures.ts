/**
 * Metrics of a clip against its prompt: both see eight frames of its middle, rounded as bytes.
 */
import { float32, type Int64Tensor } from "../../../../domain/tensors/tensor.ts";
import { concatenated } from "../../../../domain/tensors/concatenated.ts";
import { middleFrameCount, middleFrameIndices } from "../../../../domain/vbench/frame-indices.ts";
import { absent, type MetricEngine, type MetricOutcome } from "../../../../domain/vbench/metric.ts";
import { clipScore, overallConsistency, type PromptTokens } from "../../../../domain/vbench/text-alignment.ts";
import { clipTransform } from "../../../../domain/vbench/transforms.ts";
import { answer, embedInBatches, type Measuring, step } from "./measure.ts";

/** overall_consistency. */
export async function measureOverall(measuring: Measuring): Promise<MetricOutcome> {
  const frames = middleFrames(measuring);
  if (frames === undefined) return absent("skipped", "the clip has no frame");
  const text = await embedPrompt(measuring, "viclip_text");
  const transform = clipTransform(measuring.clip.facts, { isRounded: true });
  const pixels = concatenated(frames.map(transform));
  await step(measuring, 0, 1);
  const session = await measuring.context.engine("viclip_video");
  const video = await answer(session, { frames: float32([1, ...pixels.shape], pixels.data) });
  return overallConsistency(video.data, text.embedding, text.tokens);
}

/** clip_score. */
export async function measureClipScore(measuring: Measuring): Promise<MetricOutcome> {
  const frames = middleFrames(measuring);
  if (frames === undefined) return absent("skipped", "the clip has no frame");
  const text = await embedPrompt(measuring, "clip_b32_text");
  const score = clipScore(text.embedding, text.tokens);
  const transform = clipTransform(measuring.clip.facts, { isRounded: true });
  await embedInBatches(measuring, { engine: "clip_b32_image", transform, frames, push: (embedding) => score.push(embedding) });
  return score.finish();
}

function middleFrames({ clip: { frames } }: Measuring): readonly Uint8Array[] | undefined {
  if (frames.length === 0) return undefined;
  const chosen = middleFrameIndices(frames.length).flatMap((index) => frames[index] ?? []);
  return chosen.length === middleFrameCount ? chosen : undefined;
}

type EmbeddedPrompt = { readonly embedding: Float32Array; readonly tokens: PromptTokens };

async function embedPrompt({ context, prompt }: Measuring, engine: MetricEngine): Promise<EmbeddedPrompt> {
  const tokenizer = await context.clipTokenizer(engine);
  const { ids, ...tokens } = tokenizer.encode(prompt);
  const session = await context.engine(engine);
  await context.hear();
  const inputs: Readonly<Record<string, Int64Tensor>> = { input_ids: ids };
  return { embedding: (await answer(session, inputs)).data, tokens };
}
