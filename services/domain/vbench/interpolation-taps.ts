/**
 * Where each output of torch's F.interpolate(mode="bilinear" or "bicubic", align_corners=False, antialias=False) reads on one axis, and with
 * which weights (ATen/native/UpSample.h; spec vbench §1.0, "the exact interpolation rule").
 *
 * The scale is a float32, all that follows from it a float64: both were measured to matter. Bicubic has A = −0.75, and reads beyond the edge
 * are reads of the edge.
 */

export type InterpolationFilter = "bilinear" | "bicubic";

export type AxisTaps = {
  /** Reads of each output: 2 or 4. */
  readonly taps: number;
  /** [outputs, taps]: sample that is read. */
  readonly indices: Int32Array;
  /** [outputs, taps] */
  readonly weights: Float64Array;
};

/** One axis: `inputs` samples at a distance of `scale` per output; of the outputs, `count` from `first` on are wanted. */
export type InterpolationAxis = { readonly inputs: number; readonly scale: number; readonly first: number; readonly count: number };

const a = -0.75;

/** The scale of a resize to a size: inputs per output as float32. */
export function sizeScale(inputs: number, outputs: number): number {
  return Math.fround(inputs / outputs);
}

/** The reads of the wanted outputs. */
export function interpolationTaps(filter: InterpolationFilter, { inputs, scale, first, count }: InterpolationAxis): AxisTaps {
  const taps = filter === "bilinear" ? 2 : 4;
  const indices = new Int32Array(count * taps);
  const weights = new Float64Array(count * taps);
  for (let output = 0; output < count; output += 1) {
    const center = scale * (first + output + 0.5) - 0.5;
    const source = filter === "bilinear" ? Math.max(center, 0) : center;
    const start = Math.floor(source);
    const values = filter === "bilinear" ? linear(source - start) : cubic(source - start);
    values.forEach((weight, tap) => {
      const index = start + tap - (filter === "bilinear" ? 0 : 1);
      indices[output * taps + tap] = Math.min(Math.max(index, 0), inputs - 1);
      weights[output * taps + tap] = weight;
    });
  }
  return { taps, indices, weights };
}

function linear(t: number): readonly number[] {
  return [1 - t, t];
}

function cubic(t: number): readonly number[] {
  return [outer(t + 1), inner(t), inner(1 - t), outer(2 - t)];
}

function inner(x: number): number {
  return ((a + 2) * x - (a + 3)) * x * x + 1;
}

function outer(x: number): number {
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}
