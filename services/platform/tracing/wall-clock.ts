/**
 * Time since 1970 in ms with fractions, for spans: it runs evenly, and follows the machine's clock when that is set.
 */

/** The clock's sources; the process's own unless a test brings others. */
export type ClockSources = {
  /** The machine's clock, in whole ms. */
  readonly wall: () => number;
  /** Never goes back, in ms with fractions. */
  readonly even: () => number;
  /** What the wall said when `even` was 0, with fractions. */
  readonly originMs: number;
};

/** More than two readings of whole milliseconds and a busy moment between them can differ by. */
const mostDriftMs = 20;

const ofProcess: ClockSources = { wall: Date.now, even: () => performance.now(), originMs: performance.timeOrigin };

export function createWallClock({ wall, even, originMs }: ClockSources = ofProcess): () => number {
  let offsetMs = originMs;
  return () => {
    const atMs = even() + offsetMs;
    const driftMs = wall() - atMs;
    if (Math.abs(driftMs) <= mostDriftMs) return atMs;
    offsetMs += driftMs;
    return atMs + driftMs;
  };
}
