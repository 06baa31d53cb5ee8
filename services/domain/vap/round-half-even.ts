/**
 * The rounding of numpy, torch and Python: ties go to the even neighbour, where JavaScript's go up.
 */

/** Rounds a number that is not negative. */
export function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
