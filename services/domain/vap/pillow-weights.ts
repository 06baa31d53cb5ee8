/**
 * How much each source sample counts in a resampled one, in Pillow's fixed point (libImaging/Resample.c: precompute_coeffs, normalize_coeffs_8bpc,
 * bicubic_filter with a = −0.5, lanczos_filter).
 *
 * Where an axis shrinks, the filter is stretched by the same factor, so that every source sample counts.
 */

export type ResizeFilter = "bicubic" | "lanczos";

/** One axis: `inputs` samples become `outputs`, of which only `count` from `first` on are wanted. */
export type AxisPlan = { readonly inputs: number; readonly outputs: number; readonly first: number; readonly count: number };

export type AxisWeights = {
  /** Largest number of source samples that one output sample reads. */
  readonly taps: number;
  /** First source sample of each wanted output sample. */
  readonly starts: Int32Array;
  /** Source samples of each wanted output sample, at most `taps`. */
  readonly counts: Int32Array;
  /** [wanted outputs, taps], fixed point with `precisionBits` fraction bits. */
  readonly values: Int32Array;
};

/** 8 bits for the result, 2 for overshoot of the negative lobes (Resample.c: PRECISION_BITS). */
export const precisionBits = 32 - 8 - 2;

type Filter = { readonly support: number; readonly at: (x: number) => number };
const filters: Readonly<Record<ResizeFilter, Filter>> = { bicubic: { support: 2, at: bicubic }, lanczos: { support: 3, at: lanczos } };

/** The weights of the wanted outputs. */
export function axisWeights(filter: ResizeFilter, { inputs, outputs, first, count: wanted }: AxisPlan): AxisWeights {
  const scale = inputs / outputs;
  const filterScale = Math.max(scale, 1);
  const { support: unscaled, at } = filters[filter];
  const support = unscaled * filterScale;
  const taps = Math.ceil(support) * 2 + 1;
  const weights = { taps, starts: new Int32Array(wanted), counts: new Int32Array(wanted), values: new Int32Array(wanted * taps) };
  for (let output = 0; output < wanted; output += 1) {
    const center = (first + output + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const count = Math.min(Math.trunc(center + support + 0.5), inputs) - start;
    weights.starts[output] = start;
    weights.counts[output] = count;
    const raw = Array.from({ length: count }, (_, tap) => at((start + tap - center + 0.5) * (1 / filterScale)));
    weights.values.set(toFixedPoint(raw), output * taps);
  }
  return weights;
}

function toFixedPoint(raw: readonly number[]): number[] {
  const sum = raw.reduce((total, weight) => total + weight, 0);
  return raw.map((weight) => {
    const scaled = (sum === 0 ? weight : weight / sum) * (1 << precisionBits);
    return Math.trunc(weight < 0 ? scaled - 0.5 : scaled + 0.5);
  });
}

function bicubic(signed: number): number {
  const a = -0.5;
  const x = Math.abs(signed);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

function lanczos(x: number): number {
  const { support } = filters.lanczos;
  return x >= -support && x < support ? sinc(x) * sinc(x / support) : 0;
}

function sinc(x: number): number {
  if (x === 0) return 1;
  const angle = x * Math.PI;
  return Math.sin(angle) / angle;
}
