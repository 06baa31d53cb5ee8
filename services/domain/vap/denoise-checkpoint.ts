/**
 * A denoise state as bytes (design §4.8): one safetensors file with latents, the scheduler's memory and the generator.
 *
 * Invariant: decoding what was encoded gives the same state to the last bit, so that a resumed render equals an uninterrupted one. A file
 * that does not fit the plan is ARTIFACT_CORRUPT; it belongs to another render or is damaged.
 */
import { FarmError } from "../errors.ts";
import { decodeSafetensors, encodeSafetensors } from "../tensors/safetensors.ts";
import { float32, sameShape, uint8 } from "../tensors/tensor.ts";
import type { Float32Tensor, Tensor } from "../tensors/tensor.ts";
import type { DenoisePlan, DenoiseState } from "./denoise.ts";
import { stateWords } from "./mersenne-twister.ts";
import type { TorchRandomState } from "./torch-random.ts";

const format = "vapfarm-denoise-1";

/** The state as a safetensors file. */
export function encodeDenoiseState(state: DenoiseState): Uint8Array {
  const { random, oldPrediction } = state;
  const words = new Uint8Array(random.words.buffer, random.words.byteOffset, random.words.byteLength);
  const spare = new Uint8Array(new Float64Array(random.spareNormal === undefined ? [] : [random.spareNormal]).buffer);
  const tensors: Record<string, Tensor> = {
    latents: state.latents,
    random_words: uint8([words.length], words),
    random_spare: uint8([spare.length], spare),
  };
  if (oldPrediction !== undefined) tensors["old_prediction"] = float32([oldPrediction.length], oldPrediction);
  return encodeSafetensors(tensors, {
    format,
    step: String(state.stepIndex),
    random_position: String(random.position),
    random_draws: String(random.draws),
  });
}

/** The state of a file that `encodeDenoiseState` wrote for the same plan. */
export function decodeDenoiseState(plan: DenoisePlan, bytes: Uint8Array): DenoiseState {
  const { tensors, metadata } = decodeSafetensors(bytes);
  if (metadata["format"] !== format) throw corrupt("it is of another format");
  const latents = takeFloat32(tensors, "latents");
  if (!sameShape(latents.shape, plan.latentShape)) throw corrupt("its latents have another shape");
  const stepIndex = readCount(metadata, "step");
  if (stepIndex > plan.steps.length) throw corrupt("it has more steps than the render");
  const oldPrediction = tensors.has("old_prediction") ? takeFloat32(tensors, "old_prediction").data : undefined;
  const needsOld = plan.kind === "dpm" && stepIndex > 0;
  if ((oldPrediction?.length ?? 0) !== (needsOld ? latents.data.length : 0)) throw corrupt("its last prediction does not fit");
  return { stepIndex, latents, oldPrediction, random: readRandom(tensors, metadata) };
}

function readRandom(tensors: ReadonlyMap<string, Tensor>, metadata: Readonly<Record<string, string>>): TorchRandomState {
  const words = takeBytes(tensors, "random_words");
  const spare = takeBytes(tensors, "random_spare");
  const position = readCount(metadata, "random_position");
  const fits = words.length === stateWords * 4 && (spare.length === 0 || spare.length === 8) && position <= stateWords;
  if (!fits) throw corrupt("its random state is damaged");
  return {
    words: new Uint32Array(words.buffer),
    position,
    spareNormal: new Float64Array(spare.buffer)[0],
    draws: readCount(metadata, "random_draws"),
  };
}

function takeFloat32(tensors: ReadonlyMap<string, Tensor>, name: string): Float32Tensor {
  const tensor = tensors.get(name);
  if (tensor?.dtype !== "float32") throw corrupt(`it has no float32 ${name}`);
  return tensor;
}

/** A copy, so that it starts at an address that wider numbers may be read from. */
function takeBytes(tensors: ReadonlyMap<string, Tensor>, name: string): Uint8Array<ArrayBuffer> {
  const tensor = tensors.get(name);
  if (tensor?.dtype !== "uint8") throw corrupt(`it has no bytes ${name}`);
  return new Uint8Array(tensor.data);
}

function readCount(metadata: Readonly<Record<string, string>>, key: string): number {
  const text = metadata[key] ?? "";
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw corrupt(`its ${key} is no count`);
  return value;
}

function corrupt(reason: string): FarmError {
  return new FarmError("ARTIFACT_CORRUPT", { message: `the denoise checkpoint is refused: ${reason}` });
}
