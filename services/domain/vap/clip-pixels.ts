/**
 * Between bytes and what CLIP sees: uint8 [1,H,W,3] → float32 [1,3,H,W] (spec §1.2.4; transformers 4.57 image_transforms.py, rescale and
 * normalize).
 *
 * numpy multiplies by the rescale factor in float64 and rounds once to float32; mean and deviation are float32, and so are subtraction and
 * division.
 */
import { FarmError } from "../errors.ts";
import { float32 } from "../tensors/tensor.ts";
import type { Float32Tensor, Uint8Tensor } from "../tensors/tensor.ts";

/** As a preprocessor_config.json has it. */
export type ClipNormalization = {
  /** Of a byte, 1/255 in nearly 16 digits for the released models. */
  readonly rescale: number;
  /** Of red, green and blue, after the bytes were rescaled. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
};

const channels = 3;

/** A CLIP vision encoder's input; pixels that are no single RGB frame are STAGE_INPUT_INVALID. */
export function pixelsToClipInput(pixels: Uint8Tensor, normalization: ClipNormalization): Float32Tensor {
  const [batch, height = 0, width = 0, depth] = pixels.shape;
  if (pixels.shape.length !== 4 || batch !== 1 || depth !== channels) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `pixels have shape [${pixels.shape.join(",")}], expected [1,H,W,3]` });
  }
  const plane = height * width;
  const input = new Float32Array(channels * plane);
  for (let channel = 0; channel < channels; channel += 1) {
    const levels = normalizedLevels(normalization, channel);
    for (let index = 0; index < plane; index += 1) {
      input[channel * plane + index] = levels[pixels.data[index * channels + channel] as number] as number;
    }
  }
  return float32([1, channels, height, width], input);
}

/** What each byte of a channel becomes, float32 [256]. */
function normalizedLevels({ rescale, mean, std }: ClipNormalization, channel: number): Float32Array {
  const middle = Math.fround(mean[channel] ?? NaN);
  const deviation = Math.fround(std[channel] ?? NaN);
  return Float32Array.from({ length: 256 }, (_, level) => Math.fround(Math.fround(level * rescale) - middle) / deviation);
}
