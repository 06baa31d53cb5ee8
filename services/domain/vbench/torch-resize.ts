/**
 * torchvision's tensor Resize with antialias=False: F.interpolate of a frame of any size, whole or a window of it (spec vbench §1.0).
 *
 * Columns first, then rows, sums in float64 and one rounding to float32 at the end. On float32 input nothing is clamped: bicubic overshoots
 * below 0 and above 255. On uint8 input torchvision computes in float32 too, then clamps to 0..255 and rounds half to even; newer torch has a
 * fixed-point path for it, which VBench's torch has not.
 */
import { FarmError } from "../errors.ts";
import type { ImageSize, ImageWindow } from "../vap/pillow-resize.ts";
import { roundHalfEven } from "../vap/round-half-even.ts";
import { type AxisTaps, type InterpolationFilter, interpolationTaps, sizeScale } from "./interpolation-taps.ts";

export type TorchResizePlan = {
  readonly filter: InterpolationFilter;
  readonly to: ImageSize;
  /** What of the resized image is wanted; all of it unless given. */
  readonly window?: ImageWindow;
  /** Clamped to bytes and rounded, as torchvision does to a uint8 tensor. */
  readonly isRounded?: boolean;
};

/** One frame, uint8 [height,width,3] or float32 [3,height,width] → float32 [3,height',width'] on the same scale of levels. */
export type TorchResizer = (pixels: Uint8Array | Float32Array) => Float32Array;

const channels = 3;

/** Computes the weights once for many frames of one size. */
export function createTorchResizer(from: ImageSize, plan: TorchResizePlan): TorchResizer {
  const { filter, to, window = { ...to, top: 0, left: 0 }, isRounded = false } = plan;
  requireWindow(from, to, window);
  const columns = axis(filter, { inputs: from.width, outputs: to.width, first: window.left, count: window.width });
  const rows = axis(filter, { inputs: from.height, outputs: to.height, first: window.top, count: window.height });
  // Bicubic reads a row before the first and one after the last of those between; the bounds are those of all reads.
  const band = { first: rows.indices.reduce(min, from.height), last: rows.indices.reduce(max, 0) };
  const wide = new Float64Array((band.last + 1 - band.first) * window.width);
  return (pixels) => {
    requirePixels(from, pixels);
    const target = new Float32Array(channels * window.height * window.width);
    for (let channel = 0; channel < channels; channel += 1) {
      const plane = planeOf(pixels, from, channel);
      for (let row = band.first; row <= band.last; row += 1) {
        mixColumns(
          { ...plane, start: plane.start + row * from.width * plane.step },
          columns,
          wide.subarray((row - band.first) * window.width),
        );
      }
      mixRows({ wide, width: window.width, first: band.first }, rows, target.subarray(channel * window.height * window.width));
    }
    return isRounded ? target.map(toLevel) : target;
  };
}

type AxisSize = { readonly inputs: number; readonly outputs: number; readonly first: number; readonly count: number };

function axis(filter: InterpolationFilter, { inputs, outputs, first, count }: AxisSize): AxisTaps {
  return interpolationTaps(filter, { inputs, scale: sizeScale(inputs, outputs), first, count });
}

/** Samples `start`, `start + step`, … of the pixels. */
type Samples = { readonly pixels: Uint8Array | Float32Array; readonly start: number; readonly step: number };

function planeOf(pixels: Uint8Array | Float32Array, { height, width }: ImageSize, channel: number): Samples {
  return pixels instanceof Uint8Array ? { pixels, start: channel, step: channels } : { pixels, start: channel * height * width, step: 1 };
}

/**
 * One row of samples → float64 [count of outputs]. Typed-array reads are inside bounds by construction of the taps. The four products of bicubic are
 * written out, here and below: a loop over taps costs more than the rest of a frame.
 */
function mixColumns({ pixels, start, step }: Samples, { taps, indices, weights }: AxisTaps, target: Float64Array): void {
  const at = (tap: number): number => (pixels[start + (indices[tap] as number) * step] as number) * (weights[tap] as number);
  const outputs = weights.length / taps;
  for (let output = 0, tap = 0; output < outputs; output += 1, tap += taps) {
    target[output] = taps === 4 ? at(tap) + at(tap + 1) + at(tap + 2) + at(tap + 3) : at(tap) + at(tap + 1);
  }
}

/** Rows from row `first` of the frame on, [rows,width]. */
type WideRows = { readonly wide: Float64Array; readonly width: number; readonly first: number };

function mixRows({ wide, width, first }: WideRows, { taps, indices, weights }: AxisTaps, target: Float32Array): void {
  const outputs = weights.length / taps;
  const rowAt = (tap: number): number => ((indices[tap] as number) - first) * width;
  for (let output = 0, tap = 0; output < outputs; output += 1, tap += taps) {
    const mixed = target.subarray(output * width, (output + 1) * width);
    if (taps === 4) {
      const rows = [rowAt(tap), rowAt(tap + 1), rowAt(tap + 2), rowAt(tap + 3)] as const;
      mixFour(wide, { rows, weights: weights.subarray(tap, tap + 4) }, mixed);
    } else {
      mixTwo(wide, { rows: [rowAt(tap), rowAt(tap + 1)], weights: weights.subarray(tap, tap + 2) }, mixed);
    }
  }
}

type MixedRows<Starts> = { readonly rows: Starts; readonly weights: Float64Array };

function mixFour(
  wide: Float64Array,
  { rows: [a, b, c, d], weights }: MixedRows<readonly [number, number, number, number]>,
  target: Float32Array,
): void {
  const [wa = 0, wb = 0, wc = 0, wd = 0] = weights;
  for (let column = 0; column < target.length; column += 1) {
    target[column] =
      (wide[a + column] as number) * wa +
      (wide[b + column] as number) * wb +
      (wide[c + column] as number) * wc +
      (wide[d + column] as number) * wd;
  }
}

function mixTwo(wide: Float64Array, { rows: [a, b], weights }: MixedRows<readonly [number, number]>, target: Float32Array): void {
  const [wa = 0, wb = 0] = weights;
  for (let column = 0; column < target.length; column += 1) {
    target[column] = (wide[a + column] as number) * wa + (wide[b + column] as number) * wb;
  }
}

function toLevel(value: number): number {
  return roundHalfEven(Math.min(Math.max(value, 0), 255));
}

function min(left: number, right: number): number {
  return Math.min(left, right);
}

function max(left: number, right: number): number {
  return Math.max(left, right);
}

function requireWindow(from: ImageSize, to: ImageSize, window: ImageWindow): void {
  const sizes = [from.height, from.width, to.height, to.width, window.height, window.width];
  const isCounted = sizes.every((edge) => Number.isSafeInteger(edge) && edge > 0);
  const isInside = window.top >= 0 && window.left >= 0 && window.top + window.height <= to.height && window.left + window.width <= to.width;
  if (isCounted && isInside) return;
  throw new FarmError("STAGE_INPUT_INVALID", {
    message: `no window of ${window.width}x${window.height} at ${window.left},${window.top} of ${from.width}x${from.height} as ${to.width}x${to.height}`,
  });
}

function requirePixels(from: ImageSize, pixels: Uint8Array | Float32Array): void {
  if (pixels.length === from.height * from.width * channels) return;
  throw new FarmError("STAGE_INPUT_INVALID", {
    message: `a frame of ${from.width}x${from.height} RGB has other values than ${pixels.length}`,
  });
}
