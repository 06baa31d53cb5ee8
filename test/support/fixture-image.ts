/**
 * Made-up images that Python and the tests make alike, so that a fixture holds a digest instead of pixels.
 */

export type FixtureImage = {
  /** Height and width. */
  readonly from: readonly [number, number];
  readonly seed: number;
  /** Black and white only, which drives the negative lobes of a filter into clipping. */
  readonly binary: boolean;
};

/** uint8 [height,width,3] from a linear congruential generator (Numerical Recipes), top byte. */
export function pixelsOf({ from: [height, width], seed, binary }: FixtureImage): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: height * width * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const level = state >>> 24;
    if (!binary) return level;
    return level > 127 ? 255 : 0;
  });
}
