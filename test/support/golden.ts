/**
 * The golden cases: what the reference's own Python computed (test/fixtures/golden), opened by name.
 */
import { readFileSync } from "node:fs";
import { decodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import { requireFloat32, requireInt64, requireUint8 } from "../../services/domain/tensors/tensor.ts";
import type { Float32Tensor, Int64Tensor, Uint8Tensor } from "../../services/domain/tensors/tensor.ts";

export const goldenNames = ["cogvideox-ddim-1ref", "cogvideox-dpm-1ref", "cogvideox-ddim-2ref"] as const;
export const wanGoldenNames = ["wan-unipc", "wan-euler"] as const;
export type GoldenName = (typeof goldenNames)[number];
export type WanGoldenName = (typeof wanGoldenNames)[number];

/** Settings that a case was rendered with, as its metadata names them. */
type GoldenSettings = {
  readonly scheduler: string;
  readonly steps: number;
  readonly guidance_scale: number;
  readonly use_dynamic_cfg: boolean;
  readonly num_frames: number;
  readonly height: number;
  readonly width: number;
  readonly prompt: string;
  readonly ref_prompts: readonly string[];
  readonly refs: number;
  readonly seed: number;
};

export type GoldenCase = {
  readonly settings: GoldenSettings;
  readonly names: readonly string[];
  readonly float32: (name: string) => Float32Tensor;
  readonly int64: (name: string) => Int64Tensor;
  readonly uint8: (name: string) => Uint8Tensor;
};

/** Reads a case; asking for a tensor that it does not have is an error. */
export function openGolden(name: GoldenName | WanGoldenName): GoldenCase {
  const { tensors, metadata } = decodeSafetensors(readFileSync(new URL(`../fixtures/golden/${name}.safetensors`, import.meta.url)));
  return {
    settings: JSON.parse(metadata["case"] ?? "{}") as GoldenSettings,
    names: [...tensors.keys()],
    float32: (tensor) => requireFloat32(tensor, tensors.get(tensor)),
    int64: (tensor) => requireInt64(tensor, tensors.get(tensor)),
    uint8: (tensor) => requireUint8(tensor, tensors.get(tensor)),
  };
}

/** Largest absolute difference; NaN where a value is NaN or the lengths differ. */
export function maxDifference(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) return NaN;
  let max = 0;
  for (let index = 0; index < left.length; index += 1) {
    const difference = Math.abs((left[index] ?? NaN) - (right[index] ?? NaN));
    if (Number.isNaN(difference)) return NaN;
    if (difference > max) max = difference;
  }
  return max;
}
