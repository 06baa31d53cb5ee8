/**
 * Metrics of single frames and of a frame beside those before it.
 */
import { decodeSafetensors } from "../../../../domain/tensors/safetensors.ts";
import { type Float32Tensor, requireFloat32 } from "../../../../domain/tensors/tensor.ts";
import { dinoPositions } from "../../../../domain/vbench/dino-positions.ts";
import { type EmbeddingAccumulator, frameConsistency } from "../../../../domain/vbench/frame-consistency.ts";
import { type AestheticHead, aestheticQuality, imagingQuality } from "../../../../domain/vbench/frame-scores.ts";
import { i2vSubject } from "../../../../domain/vbench/i2v-subject.ts";
import type { MetricOutcome } from "../../../../domain/vbench/metric.ts";
import { musiqTokens } from "../../../../domain/vbench/musiq-tokens.ts";
import { temporalFlickering } from "../../../../domain/vbench/temporal-flickering.ts";
import {
  clipTransform,
  dinoTransform,
  type FrameTransform,
  i2vFrameTransform,
  i2vImageTransform,
  imagingTransform,
} from "../../../../domain/vbench/transforms.ts";
import { answer, embedInBatches, type Measuring, step } from "./measure.ts";

/** Neighbours that are compared between two looks at the messages. */
const framesPerStep = 8;

/** temporal_flickering. */
export async function measureFlickering(measuring: Measuring): Promise<MetricOutcome> {
  const { facts, frames } = measuring.clip;
  const flicker = temporalFlickering(facts);
  for (const [index, frame] of frames.entries()) {
    if (index % framesPerStep === 0) await step(measuring, index, frames.length);
    flicker.push(frame);
  }
  return flicker.finish();
}

/** subject_consistency. */
export async function measureSubject(measuring: Measuring): Promise<MetricOutcome> {
  const consistency = frameConsistency();
  const dino = await openDino(measuring);
  const transform = dinoTransform(measuring.clip.facts);
  await dino.embed(measuring.clip.frames, transform, consistency);
  return consistency.finish();
}

/** i2v_subject: the image is the input of that name, or its frame 0. */
export async function measureI2vSubject(measuring: Measuring): Promise<MetricOutcome> {
  const { context, clip } = measuring;
  const image = await readImage(measuring);
  const dino = await openDino(measuring);
  const subject = i2vSubject((await dino.answer(i2vImageTransform(image.size)(image.pixels))).data);
  await context.hear();
  await dino.embed(clip.frames, i2vFrameTransform(clip.facts), subject);
  return subject.finish();
}

async function readImage({ context }: Measuring) {
  const [media, path] = [await context.media(), await context.inputPath("image")];
  const { width, height } = await media.inspect(path, context.signal);
  const resize = { kind: "stretch", width, height } as const;
  const { data } = await media.decodeFrames(path, { selection: "first", count: 1, resize, signal: context.signal });
  return { size: { width, height }, pixels: data };
}

/** DINO with its learned grid, which is fitted to each size of pixels once. */
async function openDino(measuring: Measuring) {
  const session = await measuring.context.engine("dino_b16");
  const file = await measuring.context.engineFile("dino_b16", "positions");
  const learned = requireFloat32("pos_embed", decodeSafetensors(file).tensors.get("pos_embed"));
  const { patch } = session.engine.constants;
  const fitted = new Map<string, Float32Tensor>();
  const positionsFor = ([, , height = 0, width = 0]: readonly number[]): Float32Tensor => {
    const key = `${width}x${height}`;
    const positions = fitted.get(key) ?? dinoPositions(learned, { width, height }, typeof patch === "number" ? patch : undefined);
    fitted.set(key, positions);
    return positions;
  };
  const answerTo = (pixels: Float32Tensor): Promise<Float32Tensor> => answer(session, { pixels, positions: positionsFor(pixels.shape) });
  return {
    answer: answerTo,
    async embed(frames: readonly Uint8Array[], transform: FrameTransform, into: EmbeddingAccumulator): Promise<void> {
      for (const [index, frame] of frames.entries()) {
        await step(measuring, index, frames.length);
        into.push((await answerTo(transform(frame))).data);
      }
    },
  };
}

/** background_consistency. */
export async function measureBackground(measuring: Measuring): Promise<MetricOutcome> {
  const { frames, facts } = measuring.clip;
  const consistency = frameConsistency();
  await embedInBatches(measuring, {
    engine: "clip_b32_image",
    transform: clipTransform(facts),
    frames,
    push: (embedding) => consistency.push(embedding),
  });
  return consistency.finish();
}

/** aesthetic_quality. */
export async function measureAesthetic(measuring: Measuring): Promise<MetricOutcome> {
  const { frames, facts } = measuring.clip;
  const aesthetic = aestheticQuality(await readHead(measuring));
  await embedInBatches(measuring, {
    engine: "clip_l14_image",
    transform: clipTransform(facts),
    frames,
    push: (embedding) => aesthetic.push(embedding),
  });
  return aesthetic.finish();
}

async function readHead({ context }: Measuring): Promise<AestheticHead> {
  const { tensors } = decodeSafetensors(await context.engineFile("clip_l14_image", "head"));
  const bias = requireFloat32("bias", tensors.get("bias")).data[0];
  return { weight: requireFloat32("weight", tensors.get("weight")).data, bias: bias ?? NaN };
}

/** imaging_quality. */
export async function measureImaging(measuring: Measuring): Promise<MetricOutcome> {
  const { frames, facts } = measuring.clip;
  const session = await measuring.context.engine("musiq_spaq");
  const transform = imagingTransform(facts);
  const imaging = imagingQuality();
  for (const [index, frame] of frames.entries()) {
    await step(measuring, index, frames.length);
    const { data } = await answer(session, { tokens: musiqTokens(transform(frame)) });
    imaging.push(data[0] ?? NaN);
  }
  return imaging.finish();
}
