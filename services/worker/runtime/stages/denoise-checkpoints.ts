/**
 * When a denoise writes down where it is, and whose state that is.
 *
 * A state belongs to a render: the name that it carries is a hash over the engine, the planned steps and every input's bytes, so that a state
 * of other inputs is refused rather than gone on with. The hash costs time, so it is made only where a checkpoint is read or written.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../../domain/errors.ts";
import { stageCodeVersion } from "../../../domain/stage.ts";
import type { Tensor } from "../../../domain/tensors/tensor.ts";
import { assumedCostMs, hasCheckpoints, isCheckpointDue, type KeptPoint } from "../../../domain/vap/checkpoint-pace.ts";
import { decodeDenoiseState, encodeDenoiseState } from "../../../domain/vap/denoise-checkpoint.ts";
import type { DenoisePlan, DenoiseState } from "../../../domain/vap/denoise.ts";
import type { StageContext } from "./stage-context.ts";

export type DenoiseCheckpoints = {
  /** Where the run goes on: the state of the input "checkpoint", else the beginning that is handed in. */
  begin(first: DenoiseState): Promise<DenoiseState>;
  /** Writes one if it is due; when the run was asked to stop, writes a last one and throws STAGE_CANCELLED. */
  beforeStep(state: DenoiseState): Promise<void>;
};

/** What the run is of. */
export type DenoiseRun = {
  readonly plan: DenoisePlan;
  readonly seed: bigint;
  readonly engineDigest: string;
  readonly inputs: ReadonlyMap<string, Tensor | undefined>;
};

/** Checkpoints of one run. */
export function createDenoiseCheckpoints(context: StageContext, run: DenoiseRun): DenoiseCheckpoints {
  const { checkpoints } = context;
  let name: string | undefined;
  let kept: KeptPoint = { step: 0, atMs: 0, costMs: 0 };
  const owner = () => ({ plan: run.plan, render: (name ??= nameOf(run)) });
  const write = async (state: DenoiseState): Promise<void> => {
    const costMs = await checkpoints.write(state.stepIndex, () => encodeDenoiseState(owner(), state));
    kept = { step: state.stepIndex, atMs: performance.now(), costMs };
  };
  return {
    async begin(first) {
      const state = (await checkpoints.read((bytes) => decodeDenoiseState(owner(), bytes))) ?? first;
      kept = { step: state.stepIndex, atMs: performance.now(), costMs: assumedCostMs(sizeOf(state)) };
      return state;
    },
    async beforeStep(state) {
      const isStopping = context.isStopAsked();
      const isDue = isCheckpointDue(checkpoints.pace, kept, { step: state.stepIndex, nowMs: performance.now() });
      const isLast = isStopping && hasCheckpoints(checkpoints.pace) && state.stepIndex > kept.step;
      if (isDue || isLast) await write(state);
      if (isStopping) throw new FarmError("STAGE_CANCELLED", { message: "the run was asked to stop" });
    },
  };
}

function sizeOf({ latents, memory, random }: DenoiseState): number {
  const remembered = Object.values(memory.tensors).reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  return latents.data.byteLength + remembered + random.words.byteLength;
}

function nameOf({ plan, seed, engineDigest, inputs }: DenoiseRun): string {
  const { kind, steps, isGuided, latentShape } = plan;
  const settings = { code: stageCodeVersion("denoise"), engineDigest, seed: seed.toString(), kind, steps, isGuided, latentShape };
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const [input, tensor] of [...inputs].toSorted(([left], [right]) => (left < right ? -1 : 1))) {
    if (tensor === undefined) continue;
    const { shape, dtype, data } = tensor;
    hash.update(JSON.stringify({ input, shape, dtype })).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}
