/**
 * What a benchmark gives back: figures with a unit, what was aimed at, and what the figure does not say.
 */
export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The goal of design §10, when there is one. */
  readonly goal?: string;
};

export type Bench = {
  readonly name: string;
  /** What these figures do not measure. */
  readonly notMeasured: string;
  /** `short`: few rounds, to show that the benchmark works; its figures are noise. */
  run(short: boolean): Promise<readonly Figure[]>;
};

/** Middle and high values of a sample; NaN when empty. */
export function quantile(sample: readonly number[], q: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** Median milliseconds of `rounds` calls, after one that is not counted. */
export async function medianMs(rounds: number, work: () => unknown): Promise<number> {
  await work();
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  return quantile(times, 0.5);
}

/** One line a figure, in columns. */
export function printFigures(bench: Bench, figures: readonly Figure[]): void {
  process.stdout.write(`\n${bench.name}\n`);
  for (const { name, value, unit, goal } of figures) {
    const shown = Number.isInteger(value) ? String(value) : value.toPrecision(4);
    process.stdout.write(`  ${name.padEnd(58)} ${shown.padStart(10)} ${unit.padEnd(8)} ${goal === undefined ? "" : `goal ${goal}`}\n`);
  }
  process.stdout.write(`  not measured: ${bench.notMeasured}\n`);
}
