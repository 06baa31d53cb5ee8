/**
 * A denoise state as bytes (design §4.8): one safetensors file with latents, the scheduler's memory and the generator.
 *
 * Invariant: decoding what was encoded gives the same state to the last bit, so that a resumed render equals an uninterrupted one. A file
 * of another render, or one that does not fit the plan, is ARTIFACT_CORRUPT. What a scheduler remembers lies under its own names:
 * `memory.{name}` is a tensor, `count.{name}` a piece of metadata.
 */
import { FarmError } from "../errors.ts";
import { decodeSafetensors, encodeSafetensors } from "../tensors/safetensors.ts";
import { float32, sameShape, uint8 } from "../tensors/tensor.ts";
import type { Float32Tensor, Tensor } from "../tensors/tensor.ts";
import type { DenoisePlan, DenoiseState } from "./denoise.ts";
import { stateWords } from "./mersenne-twister.ts";
import type { SchedulerState } from "./schedulers/scheduler.ts";
import type { TorchRandomState } from "./torch-random.ts";

const format = "vapfarm-denoise-3";
const memoryPrefix = "memory.";
const countPrefix = "count.";

type Tensors = ReadonlyMap<string, Tensor>;
type Metadata = Readonly<Record<string, string>>;

/** Whose state it is. */
export type CheckpointOwner = {
  readonly plan: DenoisePlan;
  /** Names the render: equal where seed, settings, inputs and engine are. */
  readonly render: string;
};

/** The state of a render as a safetensors file. */
export function encodeDenoiseState({ plan, render }: CheckpointOwner, state: DenoiseState): Uint8Array {
  const { random, memory } = state;
  const words = new Uint8Array(random.words.buffer, random.words.byteOffset, random.words.byteLength);
  const spare = new Uint8Array(new Float64Array(random.spareNormal === undefined ? [] : [random.spareNormal]).buffer);
  const remembered = Object.entries(memory.tensors).map(([name, data]) => [memoryPrefix + name, float32([data.length], data)] as const);
  const counts = Object.entries(memory.counts).map(([name, count]) => [countPrefix + name, String(count)] as const);
  return encodeSafetensors(
    {
      latents: state.latents,
      random_words: uint8([words.length], words),
      random_spare: uint8([spare.length], spare),
      ...Object.fromEntries(remembered),
    },
    {
      format,
      render,
      scheduler: plan.kind,
      step: String(state.stepIndex),
      random_position: String(random.position),
      random_draws: String(random.draws),
      ...Object.fromEntries(counts),
    },
  );
}

/** The state of a file that `encodeDenoiseState` wrote for the same render. */
export function decodeDenoiseState({ plan, render }: CheckpointOwner, bytes: Uint8Array): DenoiseState {
  const { tensors, metadata } = decodeSafetensors(bytes);
  if (metadata["format"] !== format) throw corrupt("it is of another format");
  if (metadata["render"] !== render) throw corrupt("it is of another render");
  if (metadata["scheduler"] !== plan.kind) throw corrupt("it is of another scheduler");
  const latents = takeFloat32(tensors, "latents");
  if (!sameShape(latents.shape, plan.latentShape)) throw corrupt("its latents have another shape");
  const stepIndex = readCount(metadata, "step");
  if (stepIndex > plan.steps.length) throw corrupt("it has more steps than the render");
  const memory = readMemory({ plan, stepIndex, size: latents.data.length }, tensors, metadata);
  return { stepIndex, latents, memory, random: readRandom(tensors, metadata) };
}

type Expected = { readonly plan: DenoisePlan; readonly stepIndex: number; readonly size: number };

/** Exactly what the scheduler remembers before that step. */
function readMemory({ plan, stepIndex, size }: Expected, tensors: Tensors, metadata: Metadata): SchedulerState {
  const expected = plan.scheduler.memoriesBefore(stepIndex);
  requireNames(namesWith(memoryPrefix, [...tensors.keys()]), expected.tensors);
  requireNames(namesWith(countPrefix, Object.keys(metadata)), expected.counts);
  const memories = expected.tensors.map((name) => {
    const { data } = takeFloat32(tensors, memoryPrefix + name);
    if (data.length !== size) throw corrupt(`its ${name} does not fit the latents`);
    return [name, data] as const;
  });
  const counts = expected.counts.map((name) => [name, readCount(metadata, countPrefix + name)] as const);
  return { tensors: Object.fromEntries(memories), counts: Object.fromEntries(counts) };
}

function namesWith(prefix: string, names: readonly string[]): readonly string[] {
  return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

function requireNames(found: readonly string[], expected: readonly string[]): void {
  if (found.toSorted().join() === expected.toSorted().join()) return;
  throw corrupt(`it remembers ${found.join(", ") || "nothing"}, the scheduler ${expected.join(", ") || "nothing"}`);
}

function readRandom(tensors: Tensors, metadata: Metadata): TorchRandomState {
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

function takeFloat32(tensors: Tensors, name: string): Float32Tensor {
  const tensor = tensors.get(name);
  if (tensor?.dtype !== "float32") throw corrupt(`it has no float32 ${name}`);
  return tensor;
}

/** A copy, so that it starts at an address that wider numbers may be read from. */
function takeBytes(tensors: Tensors, name: string): Uint8Array<ArrayBuffer> {
  const tensor = tensors.get(name);
  if (tensor?.dtype !== "uint8") throw corrupt(`it has no bytes ${name}`);
  return new Uint8Array(tensor.data);
}

function readCount(metadata: Metadata, key: string): number {
  const text = metadata[key] ?? "";
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw corrupt(`its ${key} is no count`);
  return value;
}

function corrupt(reason: string): FarmError {
  return new FarmError("ARTIFACT_CORRUPT", { message: `the denoise checkpoint is refused: ${reason}` });
}
