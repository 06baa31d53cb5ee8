/**
 * Pillow's `Image.resize((width, height), BICUBIC or LANCZOS)` for 8-bit RGB, bit for bit (libImaging/Resample.c), whole or a window of it.
 *
 * Two passes, horizontal then vertical, each with 22-bit fixed-point weights and a uint8 result; a pass whose dimension does not change is
 * skipped. This is the order of every Pillow up to 12; Pillow 13 resamples vertically first when only the height shrinks, which differs in last
 * bits for such sizes alone. The aspect ratio is not kept. Other resamplers (sharp, ffmpeg) give other last bits and so other latents.
 *
 * A window is computed without the rest: however long the resized picture would be, memory is that of the source rows and of the window.
 */
import { FarmError } from "../errors.ts";
import { axisWeights, type AxisWeights, precisionBits, type ResizeFilter } from "./pillow-weights.ts";

export type ImageSize = { readonly height: number; readonly width: number };

/** A part of an image, which lies inside it. */
export type ImageWindow = ImageSize & { readonly top: number; readonly left: number };

/** Resizes one image, uint8 [height,width,3] → uint8 [height',width',3]; never writes to its argument. */
export type ImageResizer = (pixels: Uint8Array) => Uint8Array;

export type ResizePlan = {
  readonly filter: ResizeFilter;
  readonly to: ImageSize;
  /** What of the resized image is wanted; all of it unless given. */
  readonly window?: ImageWindow;
};

const channels = 3;
const half = 1 << (precisionBits - 1);

/** Computes the weights once for many images of one size. */
export function createResizer(from: ImageSize, plan: ResizePlan): ImageResizer {
  const { filter, to, window = { ...to, top: 0, left: 0 } } = plan;
  requireSize(from);
  requireSize(to);
  requireInside(to, window);
  const isWide = from.width === to.width && window.width === to.width;
  const isHigh = from.height === to.height && window.height === to.height;
  const columns = axisWeights(filter, { inputs: from.width, outputs: to.width, first: window.left, count: window.width });
  const rows = axisWeights(filter, { inputs: from.height, outputs: to.height, first: window.top, count: window.height });
  const band = isHigh ? { first: 0, count: from.height } : bandOf(rows);
  return (pixels) => {
    requirePixels(from, pixels);
    const source = pixels.subarray(band.first * from.width * channels, (band.first + band.count) * from.width * channels);
    const wide = isWide ? source : resampleRows(source, { weights: columns, rows: band.count, from: from.width });
    if (isHigh) return isWide ? wide.slice() : wide;
    return resampleColumns(wide, { weights: rows, rowBytes: window.width * channels, first: band.first });
  };
}

function requireSize(size: ImageSize): void {
  const valid = Number.isSafeInteger(size.height) && Number.isSafeInteger(size.width) && size.height > 0 && size.width > 0;
  if (!valid) throw new FarmError("STAGE_INPUT_INVALID", { message: `${size.width}x${size.height} is no image size` });
}

function requireInside({ height, width }: ImageSize, window: ImageWindow): void {
  requireSize(window);
  const inside = window.top >= 0 && window.left >= 0 && window.top + window.height <= height && window.left + window.width <= width;
  if (inside) return;
  throw new FarmError("STAGE_INPUT_INVALID", {
    message: `a window of ${window.width}x${window.height} at ${window.left},${window.top} is not inside ${width}x${height}`,
  });
}

function requirePixels(from: ImageSize, pixels: Uint8Array): void {
  if (pixels.length === from.height * from.width * channels) return;
  throw new FarmError("STAGE_INPUT_INVALID", {
    message: `an image of ${from.width}x${from.height} RGB has other bytes than ${pixels.length}`,
  });
}

/** The source samples that any output reads. */
function bandOf({ starts, counts }: AxisWeights): { readonly first: number; readonly count: number } {
  const first = starts[0] as number;
  return { first, count: (starts.at(-1) as number) + (counts.at(-1) as number) - first };
}

type RowPass = { readonly weights: AxisWeights; readonly rows: number; readonly from: number };

/** uint8 [rows,from,3] → uint8 [rows,outputs,3]. Typed-array reads below are inside bounds by construction of the weights. */
function resampleRows(source: Uint8Array, pass: RowPass): Uint8Array {
  const { taps, starts, counts, values } = pass.weights;
  const outputs = starts.length;
  const target = new Uint8Array(pass.rows * outputs * channels);
  let write = 0;
  for (let row = 0; row < pass.rows; row += 1) {
    for (let output = 0; output < outputs; output += 1) {
      let read = (row * pass.from + (starts[output] as number)) * channels;
      let red = half;
      let green = half;
      let blue = half;
      const last = output * taps + (counts[output] as number);
      for (let tap = output * taps; tap < last; tap += 1) {
        const weight = values[tap] as number;
        red += (source[read] as number) * weight;
        green += (source[read + 1] as number) * weight;
        blue += (source[read + 2] as number) * weight;
        read += channels;
      }
      target[write] = clampToByte(red);
      target[write + 1] = clampToByte(green);
      target[write + 2] = clampToByte(blue);
      write += channels;
    }
  }
  return target;
}

/** `first` is the row of the image that the source begins with. */
type ColumnPass = { readonly weights: AxisWeights; readonly rowBytes: number; readonly first: number };

/** uint8 [rows,rowBytes] → uint8 [outputs,rowBytes]; sums whole rows, because memory lies that way. */
function resampleColumns(source: Uint8Array, pass: ColumnPass): Uint8Array {
  const { taps, starts, counts, values } = pass.weights;
  const { rowBytes } = pass;
  const outputs = starts.length;
  const target = new Uint8Array(outputs * rowBytes);
  const sums = new Int32Array(rowBytes);
  for (let output = 0; output < outputs; output += 1) {
    sums.fill(half);
    for (let tap = 0; tap < (counts[output] as number); tap += 1) {
      const weight = values[output * taps + tap] as number;
      const read = ((starts[output] as number) - pass.first + tap) * rowBytes;
      for (let column = 0; column < rowBytes; column += 1) {
        sums[column] = (sums[column] as number) + (source[read + column] as number) * weight;
      }
    }
    for (let column = 0; column < rowBytes; column += 1) target[output * rowBytes + column] = clampToByte(sums[column] as number);
  }
  return target;
}

function clampToByte(sum: number): number {
  const level = sum >> precisionBits;
  if (level < 0) return 0;
  return level > 255 ? 255 : level;
}
