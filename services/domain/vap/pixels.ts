/**
 * Between bytes and what the VAE sees: uint8 [F,H,W,3] in 0..255 ↔ float32 [1,3,F,H,W] in −1..1.
 *
 * Source: diffusers image_processor.py:148, 172, 225, 240 and video_processor.py:89-113. Every operation is rounded to float32, as numpy and torch
 * do: in, /255 then 2x − 1; out, x·0.5 + 0.5, clamped to 0..1, ·255, rounded half to even.
 */
import { FarmError } from "../errors.ts";
import { float32, uint8 } from "../tensors/tensor.ts";
import type { Float32Tensor, Uint8Tensor } from "../tensors/tensor.ts";
import { roundHalfEven } from "./round-half-even.ts";

const channels = 3;

/** What each byte becomes, float32 [256]. */
const levelToUnit: Float32Array = Float32Array.from({ length: 256 }, (_, level) => Math.fround(2 * Math.fround(level / 255)) - 1);

/**
 * uint8 [f,H,W,3] → float32 [1,3,F,H,W] in −1..1: a VAE encoder's input of `total` = F frames. Those beyond the clip's own f are 0, which
 * is mid-grey (spec §1.2.5).
 */
export function pixelsToVaeInput(pixels: Uint8Tensor, total: number): Float32Tensor {
  const { frames: given, height, width } = clipSize(pixels.shape);
  if (given > total) throw wrongShape(pixels.shape, `at most ${total} frames`);
  const plane = height * width;
  const input = new Float32Array(channels * total * plane);
  for (let channel = 0; channel < channels; channel += 1) {
    for (let frame = 0; frame < given; frame += 1) {
      const target = (channel * total + frame) * plane;
      const source = frame * plane * channels + channel;
      for (let index = 0; index < plane; index += 1) {
        input[target + index] = levelToUnit[pixels.data[source + index * channels] as number] as number;
      }
    }
  }
  return float32([1, channels, total, height, width], input);
}

/** Frame 0 of uint8 [F,H,W,3] as uint8 [1,H,W,3], sharing memory. */
export function firstFrame(pixels: Uint8Tensor): Uint8Tensor {
  const { height, width } = clipSize(pixels.shape);
  return uint8([1, height, width, channels], pixels.data.subarray(0, height * width * channels));
}

/** float32 [1,3,F,H,W], nominally −1..1, as a VAE decoder gives it → uint8 [F,H,W,3]; values that are not finite are STAGE_NOT_FINITE. */
export function vaeOutputToPixels(output: Float32Tensor): Uint8Tensor {
  const [batch, depth, frames = 0, height = 0, width = 0] = output.shape;
  if (output.shape.length !== 5 || batch !== 1 || depth !== channels) throw wrongShape(output.shape, "[1,3,F,H,W]");
  const plane = height * width;
  const pixels = new Uint8Array(frames * plane * channels);
  for (let channel = 0; channel < channels; channel += 1) {
    for (let frame = 0; frame < frames; frame += 1) {
      const source = (channel * frames + frame) * plane;
      const target = frame * plane * channels + channel;
      for (let index = 0; index < plane; index += 1) pixels[target + index * channels] = toLevel(output.data[source + index] as number);
    }
  }
  return uint8([frames, height, width, channels], pixels);
}

function toLevel(value: number): number {
  if (!Number.isFinite(value)) throw new FarmError("STAGE_NOT_FINITE", { message: "the decoded frames hold values that are not finite" });
  const unit = Math.min(Math.max(Math.fround(Math.fround(value * 0.5) + 0.5), 0), 1);
  return roundHalfEven(Math.fround(unit * 255));
}

function clipSize(shape: readonly number[]): { readonly frames: number; readonly height: number; readonly width: number } {
  const [frames = 0, height = 0, width = 0, depth] = shape;
  if (shape.length !== 4 || depth !== channels || frames < 1) throw wrongShape(shape, "[F,H,W,3]");
  return { frames, height, width };
}

function wrongShape(shape: readonly number[], expected: string): FarmError {
  return new FarmError("STAGE_INPUT_INVALID", { message: `pixels have shape [${shape.join(",")}], expected ${expected}` });
}
