/**
 * Numbers onto axes: round ticks, straight scales, bins. Pure.
 */

/** An interval with low ≤ high. */
export type Extent = { readonly low: number; readonly high: number };

const smallest = 1e-290;

/** The extent of the values; of none 0 .. 1, of one value or equal ones something around it. */
export function extentOf(values: readonly number[]): Extent {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return { low: 0, high: 1 };
  const low = finite.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = finite.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const size = Math.max(Math.abs(low), Math.abs(high));
  // Nearer than a picture can tell apart, or than a quotient of doubles can be made of.
  if (high - low > Math.max(size * 1e-9, smallest)) return { low, high };
  const around = size <= smallest ? 0.5 : size * 0.05;
  return { low: low - around, high: high + around };
}

/** The step of 1, 2 or 5 times a power of ten that divides an extent into about so many parts. */
export function stepOf({ low, high }: Extent, parts: number): number {
  const rough = (high - low) / Math.max(1, parts);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => rough <= each * power * 1.000001) ?? 10;
  return factor * power;
}

/** Round numbers within an extent, about so many. */
export function ticksOf(extent: Extent, parts: number): readonly number[] {
  const step = stepOf(extent, parts);
  if (!Number.isFinite(step) || step <= 0) return [extent.low];
  const first = Math.ceil(extent.low / step - 1e-9);
  const last = Math.floor(extent.high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

/** A tick as text, with the decimals that tell it from its neighbours. */
export function tickText(value: number, step: number): string {
  const decimals = Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9)));
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? (0).toFixed(decimals) : text;
}

/** Value → place on an axis from `from` to `to`. */
export function scaleOf({ low, high }: Extent, from: number, to: number): (value: number) => number {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

/** One bar of a histogram; the last takes its own high end. */
export type Bin = Extent & { readonly count: number };

/** Equal bins over an extent; every value within it is in exactly one. */
export function binsOf(values: readonly number[], extent: Extent, count: number): readonly Bin[] {
  const width = (extent.high - extent.low) / count;
  const counts = Array.from({ length: count }, () => 0);
  for (const value of values) {
    const index = Math.min(count - 1, Math.max(0, Math.floor((value - extent.low) / width)));
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts.map((each, index) => ({ low: extent.low + index * width, high: extent.low + (index + 1) * width, count: each }));
}

/** A place in a picture: no more than two decimals. */
export function place(value: number): string {
  return String(Math.round(value * 100) / 100);
}
