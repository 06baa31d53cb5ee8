/**
 * Metrics of what moves between frames.
 */
import { FarmError } from "../../../../domain/errors.ts";
import { dynamicDegree } from "../../../../domain/vbench/dynamic-degree.ts";
import { dynamicDegreeIndices, motionTriples } from "../../../../domain/vbench/frame-indices.ts";
import type { MetricOutcome } from "../../../../domain/vbench/metric.ts";
import { motionSmoothness } from "../../../../domain/vbench/motion-smoothness.ts";
import { flowInput, interpolationInput } from "../../../../domain/vbench/padding.ts";
import type { EngineSession } from "../../engines/onnx-session.ts";
import { answer, type Measuring, step } from "./measure.ts";

/** motion_smoothness. */
export async function measureSmoothness(measuring: Measuring): Promise<MetricOutcome> {
  const { facts, frames } = measuring.clip;
  const motion = motionSmoothness(facts);
  const triples = motionTriples(frames.length);
  if (triples.length === 0) return motion.finish(frames.length);
  const session = await measuring.context.engine("amt_s");
  const inputOf = (index: number) => interpolationInput(frameAt(frames, index), facts);
  let before = inputOf(0);
  for (const [index, triple] of triples.entries()) {
    await step(measuring, index, triples.length);
    const after = inputOf(triple.after);
    const { data } = await answer(session, { frame0: before, frame1: after });
    motion.push(data, frameAt(frames, triple.between));
    before = after;
  }
  return motion.finish(frames.length);
}

/** dynamic_degree. */
export async function measureDynamic(measuring: Measuring): Promise<MetricOutcome> {
  const { facts, frames } = measuring.clip;
  const framesPerSecond = facts.fps.numerator / facts.fps.denominator;
  const session = await measuring.context.engine("raft_things");
  const minimumSide = minimumSideOf(session);
  const dynamic = dynamicDegree({ size: facts, frameCount: frames.length, framesPerSecond, minimumSide });
  if (dynamic.known !== undefined) return dynamic.known;
  const inputs = dynamicDegreeIndices(frames.length, framesPerSecond).map((index) => () => flowInput(frameAt(frames, index), facts));
  const [first, ...rest] = inputs;
  let before = first?.();
  for (const [index, next] of rest.entries()) {
    await step(measuring, index, rest.length);
    const after = next();
    if (before !== undefined) dynamic.push((await answer(session, { frame0: before, frame1: after })).data);
    before = after;
  }
  return dynamic.finish();
}

function minimumSideOf({ engine }: EngineSession): number {
  const side = engine.constants["minimum_side"];
  if (typeof side === "number" && Number.isInteger(side) && side > 0) return side;
  throw new FarmError("MODEL_INVALID", { message: `engine ${engine.name} does not say its minimum_side` });
}

function frameAt(frames: readonly Uint8Array[], index: number): Uint8Array {
  const frame = frames[index];
  if (frame === undefined) throw new FarmError("INTERNAL", { message: `the clip has no frame ${index}` });
  return frame;
}
