/**
 * Golden cases as stages meet them: pixels as bytes and files, and how far two arrays are apart.
 */
import { encodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import { uint8, type Uint8Tensor } from "../../services/domain/tensors/tensor.ts";
import type { GoldenCase } from "./golden.ts";

/** Pixels as uint8 [F,H,W,3], from the case's float32 [1,3,F,H,W] in -1..1. */
export function goldenPixels(golden: GoldenCase, name: string): Uint8Tensor {
  const { shape, data } = golden.float32(name);
  const [, channels = 0, frames = 0, height = 0, width = 0] = shape;
  const pixels = new Uint8Array(data.length);
  const plane = height * width;
  for (let channel = 0; channel < channels; channel += 1)
    for (let frame = 0; frame < frames; frame += 1)
      for (let place = 0; place < plane; place += 1) {
        const value = data[(channel * frames + frame) * plane + place] ?? Number.NaN;
        pixels[(frame * plane + place) * channels + channel] = Math.round(((value + 1) / 2) * 255);
      }
  return uint8([frames, height, width, channels], pixels);
}

/** The same as a file that vae_encode reads. */
export function goldenPixelsFile(golden: GoldenCase, name: string): Uint8Array {
  return encodeSafetensors({ pixels: goldenPixels(golden, name) });
}

/** Mean absolute difference; NaN where lengths differ. */
export function meanDifference(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) return Number.NaN;
  let sum = 0;
  for (let index = 0; index < left.length; index += 1) sum += Math.abs((left[index] ?? Number.NaN) - (right[index] ?? Number.NaN));
  return sum / left.length;
}
