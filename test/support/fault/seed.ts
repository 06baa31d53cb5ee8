/**
 * The seed of a fault test: the same seed gives the same schedule of faults. Printed, and set with VAPFARM_FAULT_SEED.
 */
export type Draws = {
  /** From [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number;
  oneOf<T>(items: readonly T[]): T;
};

const defaultSeed = 20_260_801;

/** Draws of one scenario, apart from those of others, so that a scenario run alone has the same schedule. */
export function drawsOf(scenario: string): Draws {
  const seed = Number(process.env["VAPFARM_FAULT_SEED"] ?? defaultSeed);
  process.stdout.write(`${scenario}: VAPFARM_FAULT_SEED=${seed}\n`);
  const next = mulberry32(seed ^ hashOf(scenario));
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    between,
    oneOf<T>(items: readonly T[]): T {
      const item = items[between(0, items.length - 1)];
      if (item === undefined) throw new TypeError("nothing to draw from");
      return item;
    },
  };
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

/** Mulberry32: 32 bits of state are enough for a schedule. */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
