/**
 * What measuring a clip works with: its frames, the networks, and a way to let messages in between.
 *
 * A measure turns frames into what its networks read, hands their answers to the domain's arithmetic, and returns the outcome. Networks may
 * answer with numbers that are not finite: what that means is the arithmetic's to say.
 */
import type { Float32Tensor, Tensor } from "../../../../domain/tensors/tensor.ts";
import { concatenated } from "../../../../domain/tensors/concatenated.ts";
import { requireFloat32 } from "../../../../domain/tensors/tensor.ts";
import type { MetricEngine, MetricOutcome } from "../../../../domain/vbench/metric.ts";
import type { FrameTransform } from "../../../../domain/vbench/transforms.ts";
import type { Clip } from "../../../../platform/media/clip-reader.ts";
import type { EngineSession } from "../../engines/onnx-session.ts";
import type { StageContext } from "../stage-context.ts";

export type Measuring = {
  readonly context: StageContext;
  readonly clip: Clip;
  readonly prompt: string;
};

/** One metric of one clip. */
export type Measure = (measuring: Measuring) => Promise<MetricOutcome>;

/** Frames that go through a network of CLIP's at a time. */
const batchFrames = 8;

/** Says how far a measure is, and lets messages in; throws STAGE_CANCELLED. */
export async function step({ context }: Measuring, done: number, of: number): Promise<void> {
  context.progress({ phase: "score", step: done, steps: of, stepMs: 0 });
  await context.hear();
}

/** Runs a network once: its only output. */
export async function answer(session: EngineSession, feeds: Readonly<Record<string, Tensor>>): Promise<Float32Tensor> {
  const [output] = session.engine.outputs;
  const name = output?.name ?? "";
  const outputs = await session.run(feeds, { mayBeNotFinite: true });
  return requireFloat32(name, outputs[name]);
}

export type Embedding = {
  readonly engine: MetricEngine;
  readonly transform: FrameTransform;
  readonly frames: readonly Uint8Array[];
  readonly push: (embedding: Float32Array) => void;
};

/** Takes frames through a network that reads `pixels` [n,3,H,W] and gives a row [D] for each, in order. */
export async function embedInBatches(measuring: Measuring, { engine, transform, frames, push }: Embedding): Promise<void> {
  const session = await measuring.context.engine(engine);
  for (let first = 0; first < frames.length; first += batchFrames) {
    await step(measuring, first, frames.length);
    const batch = frames.slice(first, first + batchFrames);
    const { data, shape } = await answer(session, { pixels: concatenated(batch.map(transform)) });
    const width = shape[1] ?? 0;
    for (let row = 0; row < batch.length; row += 1) push(data.subarray(row * width, (row + 1) * width));
  }
}
