/**
 * The golden cases: what the reference's own Python computed (test/fixtures/golden), opened by name.
 */
import { readFileSync } from "node:fs";
import { decodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import type { SchedulerKind } from "../../services/domain/render-spec.ts";
import type { VariantName } from "../../services/domain/variants/registry.ts";
import { requireFloat32, requireInt64, requireUint8 } from "../../services/domain/tensors/tensor.ts";
import type { Float32Tensor, Int64Tensor, Uint8Tensor } from "../../services/domain/tensors/tensor.ts";

/** Cases of the CogVideoX variant. */
export const cogvideoxNames = ["cogvideox-ddim-1ref", "cogvideox-dpm-1ref", "cogvideox-ddim-2ref"] as const;
/** Cases of the Wan variant. */
export const wanNames = ["wan-unipc", "wan-euler"] as const;
/** Every case. */
export const goldenNames = [...cogvideoxNames, ...wanNames] as const;
export type GoldenName = (typeof goldenNames)[number];

/** Settings that a case was rendered with, as its metadata names them. */
type GoldenSettings = {
  readonly variant: VariantName;
  /** Class of the reference's scheduler. */
  readonly scheduler: string;
  readonly steps: number;
  readonly guidance_scale: number;
  /** CogVideoX only. */
  readonly use_dynamic_cfg?: boolean;
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
export function openGolden(name: GoldenName): GoldenCase {
  const { tensors, metadata } = decodeSafetensors(readFileSync(new URL(`../fixtures/golden/${name}.safetensors`, import.meta.url)));
  return {
    settings: JSON.parse(metadata["case"] ?? "{}") as GoldenSettings,
    names: [...tensors.keys()],
    float32: (tensor) => requireFloat32(tensor, tensors.get(tensor)),
    int64: (tensor) => requireInt64(tensor, tensors.get(tensor)),
    uint8: (tensor) => requireUint8(tensor, tensors.get(tensor)),
  };
}

const kinds: Readonly<Record<string, SchedulerKind>> = {
  CogVideoXDDIMScheduler: "ddim",
  CogVideoXDPMScheduler: "dpm",
  UniPCMultistepScheduler: "unipc",
  FlowMatchEulerDiscreteScheduler: "euler",
};

/** What a render asks for to be denoised as the case was. */
export function schedulerKindOf({ settings }: GoldenCase): SchedulerKind {
  const kind = kinds[settings.scheduler];
  if (kind === undefined) throw new TypeError(`the case names ${settings.scheduler}`);
  return kind;
}

/** The case's texts in the order of its text{i}_*: prompt, negative, then each reference's prompt and negative. */
export function goldenTexts({ settings }: GoldenCase, negativePrompt: string): readonly string[] {
  return [settings.prompt, negativePrompt, ...settings.ref_prompts.flatMap((prompt) => [prompt, negativePrompt])];
}

/** Numbers of its references, from 0. */
export function goldenReferences({ settings }: GoldenCase): readonly number[] {
  return Array.from({ length: settings.refs }, (_, index) => index);
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
