/**
 * Stage `warm`: an engine opened and run once, so that the first task finds it as the second would: kernels chosen, memory taken, weights read.
 *
 * Inputs are made up: zeros, ones where ids and masks are meant. What comes out means nothing, not even that it is finite.
 */
import type { EngineName } from "../../../domain/stage.ts";
import { elementCount, float32, int64, type Tensor } from "../../../domain/tensors/tensor.ts";
import type { MetricEngine } from "../../../domain/vbench/metric.ts";
import type { TensorPort } from "../../../platform/models/manifest.ts";
import type { WarmWork } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";
import type { StageMade } from "./stage-made.ts";

/** Extents that a manifest leaves open, port by port and axis by axis, where 1 would not fit the graph. */
const openExtents: Partial<Readonly<Record<EngineName | MetricEngine, Readonly<Record<string, readonly number[]>>>>> = {
  // 14 × 14 patches of 16 pixels, and one for the class.
  dino_b16: { pixels: [224, 224], positions: [197] },
  amt_s: { frame0: [128, 128], frame1: [128, 128] },
  raft_things: { frame0: [128, 128], frame1: [128, 128] },
};

/** Opens and runs it; makes nothing. */
export async function warm(context: StageContext, { engine: name }: WarmWork): Promise<readonly StageMade[]> {
  const session = await context.engine(name);
  await context.hear();
  const feeds = session.engine.inputs.map((port) => [port.name, madeUp(port, openExtents[name]?.[port.name] ?? [])] as const);
  await session.run(Object.fromEntries(feeds), { mayBeNotFinite: true });
  return [];
}

function madeUp({ dtype, shape }: TensorPort, open: readonly number[]): Tensor {
  const left = open.values();
  const whole = shape.map((extent) => (extent >= 0 ? extent : (left.next().value ?? 1)));
  const count = elementCount(whole);
  return dtype === "int64" ? int64(whole, new BigInt64Array(count).fill(1n)) : float32(whole, new Float32Array(count));
}
