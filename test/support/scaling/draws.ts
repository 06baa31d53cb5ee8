/**
 * Random numbers that are the same for a seed, on any machine.
 */
export type Draws = {
  /** From [0, 1). */
  uniform(): number;
  between(least: number, most: number): number;
  exponential(mean: number): number;
  /** With a spread as rendering times have: the 95th percentile is about twice the mean. */
  logNormal(mean: number): number;
  poisson(mean: number): number;
};

const sigma = 0.5;

/** mulberry32, and what is made of it. */
export function createDraws(seed: number): Draws {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return {
    uniform,
    between: (least, most) => least + (most - least) * uniform(),
    exponential: (mean) => -mean * Math.log(1 - uniform()),
    logNormal: (mean) => mean * Math.exp(sigma * normal() - sigma ** 2 / 2),
    poisson(mean) {
      let [count, product] = [0, uniform()];
      const least = Math.exp(-mean);
      while (product > least) {
        count += 1;
        product *= uniform();
      }
      return count;
    },
  };
}
