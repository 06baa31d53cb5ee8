/**
 * What a clip is besides its content: frame rate, frames, size. Metrics depend on all three (dynamic degree samples by the container's frame
 * rate, spec vbench §1.5), so numbers of clips that differ in one of them are of different things.
 */
import type { Score } from "../../../gen/proto/vapfarm/v1/bench.ts";

/** As the metrics decoded it. */
export type ClipShape = {
  /** Of the container, per second. */
  readonly fps: number;
  readonly frames: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
};

/** In what pairs of clips differ, and how the first of them do. */
export type ShapeMismatch = {
  readonly what: "frame rate" | "number of frames" | "size";
  readonly pairs: number;
  readonly ours: string;
  readonly theirs: string;
};

/** Two clips; undefined: not known. */
type ShapePair = { readonly ours: ClipShape | undefined; readonly theirs: ClipShape | undefined };

/** Of the score that saw the most frames; undefined where none saw any. */
export function shapeOf(scores: readonly Score[]): ClipShape | undefined {
  const seen = scores.filter(({ frames, fpsNumerator, fpsDenominator }) => frames > 0 && fpsNumerator > 0 && fpsDenominator > 0);
  const [most] = seen.toSorted((left, right) => right.frames - left.frames);
  if (most === undefined) return undefined;
  const { frames, fpsNumerator, fpsDenominator, width, height } = most;
  return { fps: fpsNumerator / fpsDenominator, frames, width, height };
}

const aspects: readonly (readonly [ShapeMismatch["what"], (shape: ClipShape) => string])[] = [
  ["frame rate", ({ fps }) => `${Number(fps.toFixed(3))} fps`],
  ["number of frames", ({ frames }) => `${frames} frames`],
  ["size", ({ width, height }) => `${width}x${height}`],
];

/** Nothing where all pairs of which both shapes are known agree. */
export function shapeMismatches(pairs: readonly ShapePair[]): readonly ShapeMismatch[] {
  return aspects.flatMap(([what, words]) => {
    const told = pairs.flatMap(({ ours, theirs }) =>
      ours === undefined || theirs === undefined ? [] : [{ ours: words(ours), theirs: words(theirs) }],
    );
    const different = told.filter(({ ours, theirs }) => ours !== theirs);
    const [first] = different;
    return first === undefined ? [] : [{ what, pairs: different.length, ...first }];
  });
}

const longSeconds = 5;

/** Whether VBench's leaderboard would have split it (VBench-Long, spec vbench §1.10): 5 s or more. */
export function isLong({ fps, frames }: ClipShape): boolean {
  return frames >= longSeconds * fps;
}
