import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  dynamicDegreeCount,
  dynamicDegreeIndices,
  dynamicDegreeInterval,
  middleFrameIndices,
  motionTriples,
} from "../../../services/domain/vbench/frame-indices.ts";

describe("the eight middle frames", () => {
  test.each([
    [49, [2, 8, 14, 20, 26, 32, 38, 45]],
    [81, [4, 14, 24, 34, 44, 54, 64, 75]],
    [129, [7, 23, 39, 55, 71, 87, 103, 120]],
    [5, [0, 1, 2, 3, 4, 4, 4, 4]],
    [1, [0, 0, 0, 0, 0, 0, 0, 0]],
  ])("of %i frames are VBench's", (frames, expected) => {
    expect(middleFrameIndices(frames)).toEqual(expected);
  });

  test("are always eight, in order and inside the clip", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (frames) => {
        const indices = middleFrameIndices(frames);
        expect(indices).toHaveLength(8);
        expect(indices.toSorted((left, right) => left - right)).toEqual(indices);
        expect(indices.every((index) => index >= 0 && index < frames)).toBe(true);
      }),
    );
  });

  test("of no frames are refused", () => {
    expect(() => middleFrameIndices(0)).toThrow(/none to choose/);
  });
});

describe("dynamic degree", () => {
  test.each([
    [8, 1],
    [10, 1],
    [12, 2],
    [15, 2],
    [16, 2],
    [20, 2],
    [24, 3],
    [25, 3],
    [29.97, 4],
    [30, 4],
    [36, 4],
    [60, 8],
    [4, 1],
    [0, 1],
    [NaN, 1],
    [Infinity, 1],
  ])("compares frames of %d fps at a distance of %i", (fps, interval) => {
    expect(dynamicDegreeInterval(fps)).toBe(interval);
  });

  test.each([
    [2, 0],
    [6, 2],
    [10, 2],
    [14, 4],
    [18, 4],
    [25, 6],
    [41, 10],
    [49, 12],
    [73, 18],
  ])("of %i compared frames needs %i moving pairs", (frames, count) => {
    expect(dynamicDegreeCount(frames)).toBe(count);
  });

  test("of the same 49 frames compares 25 at 16 fps and 49 at 8 fps", () => {
    expect(dynamicDegreeIndices(49, 16)).toEqual(Array.from({ length: 25 }, (_, index) => 2 * index));
    expect(dynamicDegreeIndices(49, 8)).toHaveLength(49);
  });
});

describe("motion smoothness", () => {
  test("pairs 3 frames once, 16 up to frame 13, 49 up to frame 47", () => {
    expect(motionTriples(3)).toEqual([{ before: 0, between: 1, after: 2 }]);
    expect(motionTriples(16).map(({ between }) => between)).toEqual([1, 3, 5, 7, 9, 11, 13]);
    expect(motionTriples(49).map(({ between }) => between)).toEqual(Array.from({ length: 24 }, (_, index) => 2 * index + 1));
  });

  test("has nothing to compare in 2 frames", () => {
    expect(motionTriples(2)).toEqual([]);
  });
});
