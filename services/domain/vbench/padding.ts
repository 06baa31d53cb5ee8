/**
 * Frames padded for networks that need sides of a multiple, by repeating the edge on both sides (RAFT and AMT InputPadder; spec vbench §1.4, §1.5),
 * and the way back.
 *
 * The odd pixel goes to the end. RAFT's flow is scored as it comes, padding included; AMT's frame is cut back first.
 */
import { FarmError } from "../errors.ts";
import { float32, type Float32Tensor } from "../tensors/tensor.ts";
import type { ImageSize, ImageWindow } from "../vap/pillow-resize.ts";

const channels = 3;
const flowMultiple = 8;
const interpolationMultiple = 16;

/** What RAFT reads: float32 [1,3,H',W'], 0..255, sides a multiple of 8. */
export function flowInput(pixels: Uint8Array, size: ImageSize): Float32Tensor {
  return padded(pixels, size, { multiple: flowMultiple, divisor: 1 });
}

/** What AMT reads: float32 [1,3,H',W'], 0..1, sides a multiple of 16. */
export function interpolationInput(pixels: Uint8Array, size: ImageSize): Float32Tensor {
  return padded(pixels, size, { multiple: interpolationMultiple, divisor: 255 });
}

/** The size of RAFT's input and flow. */
export function flowSize(size: ImageSize): ImageSize {
  const { height, width } = paddedWindow(size, flowMultiple).whole;
  return { height, width };
}

/** AMT's answer, float32 [3,H',W'] in 0..1 → the bytes that VBench compares, uint8 [H,W,3]: cut off, never rounded (amt/utils/utils.py tensor2img). */
export function interpolatedBytes(prediction: Float32Array, size: ImageSize): Uint8Array {
  const { whole, window } = paddedWindow(size, interpolationMultiple);
  const plane = whole.height * whole.width;
  if (prediction.length !== channels * plane) {
    throw new FarmError("STAGE_INPUT_INVALID", {
      message: `an interpolated frame of ${size.width}x${size.height} has ${channels * plane} values with its padding, not ${prediction.length}`,
    });
  }
  const bytes = new Uint8Array(size.height * size.width * channels);
  let write = 0;
  for (let row = 0; row < size.height; row += 1) {
    const start = (row + window.top) * whole.width + window.left;
    for (let read = start; read < start + size.width; read += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        const level = Math.fround((prediction[channel * plane + read] as number) * 255);
        bytes[write] = Math.trunc(Math.min(Math.max(level, 0), 255));
        write += 1;
      }
    }
  }
  return bytes;
}

/** Where the frame lies in its padded one. */
function paddedWindow({ height, width }: ImageSize, multiple: number): { readonly whole: ImageSize; readonly window: ImageWindow } {
  const whole = { height: Math.ceil(height / multiple) * multiple, width: Math.ceil(width / multiple) * multiple };
  return { whole, window: { height, width, top: Math.floor((whole.height - height) / 2), left: Math.floor((whole.width - width) / 2) } };
}

type Padding = { readonly multiple: number; readonly divisor: number };

function padded(pixels: Uint8Array, size: ImageSize, { multiple, divisor }: Padding): Float32Tensor {
  if (pixels.length !== size.height * size.width * channels) {
    throw new FarmError("STAGE_INPUT_INVALID", {
      message: `a frame of ${size.width}x${size.height} RGB has other bytes than ${pixels.length}`,
    });
  }
  const { whole, window } = paddedWindow(size, multiple);
  const data = new Float32Array(channels * whole.height * whole.width);
  let write = 0;
  for (let channel = 0; channel < channels; channel += 1) {
    for (let row = 0; row < whole.height; row += 1) {
      const start = clamp(row - window.top, size.height) * size.width;
      for (let column = 0; column < whole.width; column += 1) {
        data[write] = (pixels[(start + clamp(column - window.left, size.width)) * channels + channel] as number) / divisor;
        write += 1;
      }
    }
  }
  return float32([1, channels, whole.height, whole.width], data);
}

function clamp(index: number, length: number): number {
  return Math.min(Math.max(index, 0), length - 1);
}
