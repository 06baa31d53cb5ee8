/**
 * How sure a mean is: percentile bootstrap intervals of a set's mean and of the mean difference of pairs (Efron 1979), drawn by mt19937 from a seed, so
 * that a report is the same each time.
 */
import { FarmError } from "../errors.ts";
import { MersenneTwister } from "../vap/mersenne-twister.ts";

export type BootstrapPlan = {
  readonly seed: number;
  /** Sets that are drawn; 10,000 unless given. */
  readonly rounds?: number;
  /** Of the interval; 0.95 unless given. */
  readonly level?: number;
};

export type Interval = { readonly low: number; readonly high: number };

export type MeanEstimate = {
  readonly n: number;
  /** Nothing without values. */
  readonly mean?: number;
  readonly interval?: Interval;
  /** Why there is no interval. */
  readonly reason?: string;
};

/** Values of two runs for the same row. */
export type ValuePair = { readonly left: number; readonly right: number };

const defaultRounds = 10_000;
const defaultLevel = 0.95;

/** Mean of left − right over pairs; rows of the same suite differ more than the runs do, so pairs are drawn, not values. */
export function pairedDifference(pairs: readonly ValuePair[], plan: BootstrapPlan): MeanEstimate {
  return bootstrapMean(
    pairs.map(({ left, right }) => left - right),
    plan,
  );
}

/** Mean of the values with its percentile interval; fewer than 2 values have none. */
export function bootstrapMean(
  values: readonly number[],
  { seed, rounds = defaultRounds, level = defaultLevel }: BootstrapPlan,
): MeanEstimate {
  const n = values.length;
  if (!values.every(Number.isFinite)) throw new FarmError("FIELD_INVALID", { message: "a value to be averaged is no finite number" });
  if (!(level > 0 && level < 1 && Number.isSafeInteger(rounds) && rounds > 0)) {
    throw new FarmError("FIELD_INVALID", { message: `an interval of level ${level} cannot be made of ${rounds} rounds` });
  }
  if (n === 0) return { n, reason: "there is no value" };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { n, mean, reason: "one value has no interval" };
  const means = drawnMeans(values, rounds, MersenneTwister.seeded(seed >>> 0)).sort();
  return { n, mean, interval: { low: quantile(means, (1 - level) / 2), high: quantile(means, (1 + level) / 2) } };
}

function drawnMeans(values: readonly number[], rounds: number, engine: MersenneTwister): Float64Array {
  const means = new Float64Array(rounds);
  for (let round = 0; round < rounds; round += 1) {
    let sum = 0;
    for (let draw = 0; draw < values.length; draw += 1) {
      const index = Math.floor(((engine.nextBits() >>> 0) / 2 ** 32) * values.length);
      sum += values[index] ?? NaN;
    }
    means[round] = sum / values.length;
  }
  return means;
}

/** Between neighbours, as numpy's default does. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below] ?? NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? NaN;
  return low + (high - low) * (place - below);
}
