/**
 * Pillow's `Image.resize((width, height), LANCZOS)` for 8-bit RGB, bit for bit (libImaging/Resample.c).
 *
 * Two passes, horizontal then vertical, each with 22-bit fixed-point weights and a uint8 result; a pass whose dimension does not change is
 * skipped. This is the order of every Pillow up to 12; Pillow 13 resamples vertically first when only the height shrinks, which differs in last
 * bits for such sizes alone. The aspect ratio is not kept, as in the reference (diffusers image_processor.py:500-506). Other lanczos3 resamplers (sharp,
 * ffmpeg) give other last bits and so other latents.
 */
import { FarmError } from "../errors.ts";

export type ImageSize = { readonly height: number; readonly width: number };

/** Resizes one image, uint8 [height,width,3] → uint8 [to.height,to.width,3]; never writes to its argument. */
export type ImageResizer = (pixels: Uint8Array) => Uint8Array;

type Weights = {
  /** Largest number of source samples that one output sample reads. */
  readonly taps: number;
  /** First source sample of each output sample. */
  readonly starts: Int32Array;
  /** Source samples of each output sample, at most `taps`. */
  readonly counts: Int32Array;
  /** [outputs, taps], fixed point with `precisionBits` fraction bits. */
  readonly values: Int32Array;
};

const channels = 3;
const lanczosSupport = 3;
/** 8 bits for the result, 2 for overshoot of the negative lobes (Resample.c: PRECISION_BITS). */
const precisionBits = 32 - 8 - 2;
const half = 1 << (precisionBits - 1);

/** Computes the weights once for many images of one size. */
export function createLanczosResizer(from: ImageSize, to: ImageSize): ImageResizer {
  requireSize(from);
  requireSize(to);
  const horizontal = from.width === to.width ? undefined : lanczosWeights(from.width, to.width);
  const vertical = from.height === to.height ? undefined : lanczosWeights(from.height, to.height);
  return (pixels) => {
    if (pixels.length !== from.height * from.width * channels) {
      throw new FarmError("STAGE_INPUT_INVALID", {
        message: `an image of ${from.width}x${from.height} RGB has other bytes than ${pixels.length}`,
      });
    }
    const wide = horizontal === undefined ? pixels : resampleRows(pixels, { weights: horizontal, rows: from.height, from: from.width });
    if (vertical === undefined) return wide === pixels ? pixels.slice() : wide;
    return resampleColumns(wide, { weights: vertical, rowBytes: to.width * channels });
  };
}

/** Resizes a single image; for many of one size make the resizer once. */
export function resizeLanczos(pixels: Uint8Array, from: ImageSize, to: ImageSize): Uint8Array {
  return createLanczosResizer(from, to)(pixels);
}

function requireSize(size: ImageSize): void {
  const valid = Number.isSafeInteger(size.height) && Number.isSafeInteger(size.width) && size.height > 0 && size.width > 0;
  if (!valid) throw new FarmError("STAGE_INPUT_INVALID", { message: `${size.width}x${size.height} is no image size` });
}

/** Resample.c: precompute_coeffs and normalize_coeffs_8bpc. */
function lanczosWeights(inputs: number, outputs: number): Weights {
  const scale = inputs / outputs;
  const filterScale = Math.max(scale, 1);
  const support = lanczosSupport * filterScale;
  const taps = Math.ceil(support) * 2 + 1;
  const weights = { taps, starts: new Int32Array(outputs), counts: new Int32Array(outputs), values: new Int32Array(outputs * taps) };
  for (let output = 0; output < outputs; output += 1) {
    const center = (output + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const count = Math.min(Math.trunc(center + support + 0.5), inputs) - start;
    weights.starts[output] = start;
    weights.counts[output] = count;
    weights.values.set(fixedPointWeights({ center: start - center + 0.5, inverseScale: 1 / filterScale, count }), output * taps);
  }
  return weights;
}

function fixedPointWeights(window: { readonly center: number; readonly inverseScale: number; readonly count: number }): number[] {
  const raw = Array.from({ length: window.count }, (_, tap) => lanczos((tap + window.center) * window.inverseScale));
  const sum = raw.reduce((total, weight) => total + weight, 0);
  return raw.map((weight) => {
    const scaled = (sum === 0 ? weight : weight / sum) * (1 << precisionBits);
    return Math.trunc(weight < 0 ? scaled - 0.5 : scaled + 0.5);
  });
}

function lanczos(x: number): number {
  return x >= -lanczosSupport && x < lanczosSupport ? sinc(x) * sinc(x / lanczosSupport) : 0;
}

function sinc(x: number): number {
  if (x === 0) return 1;
  const angle = x * Math.PI;
  return Math.sin(angle) / angle;
}

/** uint8 [rows,from,3] → uint8 [rows,outputs,3]. Typed-array reads below are inside bounds by construction of the weights. */
function resampleRows(source: Uint8Array, pass: { readonly weights: Weights; readonly rows: number; readonly from: number }): Uint8Array {
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

/** uint8 [rows,rowBytes] → uint8 [outputs,rowBytes]; sums whole rows, because memory lies that way. */
function resampleColumns(source: Uint8Array, pass: { readonly weights: Weights; readonly rowBytes: number }): Uint8Array {
  const { taps, starts, counts, values } = pass.weights;
  const { rowBytes } = pass;
  const outputs = starts.length;
  const target = new Uint8Array(outputs * rowBytes);
  const sums = new Int32Array(rowBytes);
  for (let output = 0; output < outputs; output += 1) {
    sums.fill(half);
    for (let tap = 0; tap < (counts[output] as number); tap += 1) {
      const weight = values[output * taps + tap] as number;
      const read = ((starts[output] as number) + tap) * rowBytes;
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
