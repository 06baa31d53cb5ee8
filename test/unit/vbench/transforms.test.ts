import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  centerCrop,
  clipTransform,
  dinoTransform,
  i2vFrameTransform,
  i2vImageTransform,
  imagingSize,
  imagingTransform,
  shortSideSize,
} from "../../../services/domain/vbench/transforms.ts";
import { flowInput, flowSize, interpolatedBytes, interpolationInput } from "../../../services/domain/vbench/padding.ts";
import { pixelsOf } from "../../support/fixture-image.ts";
import { vbenchFixtures } from "../../support/vbench/stubs.ts";

type ImageCase = { from: [number, number]; seed: number; sum: number; samples: [number, number][] };
const imageCases = (JSON.parse(readFileSync(new URL("i2v-image.json", vbenchFixtures), "utf8")) as { cases: ImageCase[] }).cases;
const size = (height: number, width: number): { height: number; width: number } => ({ height, width });

test.each([
  { from: size(480, 720), to: size(224, 336) },
  { from: size(480, 832), to: size(224, 388) },
  { from: size(720, 1280), to: size(224, 398) },
  { from: size(1080, 1920), to: size(224, 398) },
  { from: size(832, 480), to: size(388, 224) },
])("a frame of $from becomes $to by its short side", ({ from, to }) => {
  expect(shortSideSize(from, 224)).toEqual(to);
});

test.each([
  [387, 82],
  [225, 0],
  [226, 1],
  [227, 2],
  [224, 0],
])("the middle 224 of %i begin at %i, half pixels going to the even neighbour", (long, start) => {
  expect(centerCrop(size(224, long), 224)).toEqual({ height: 224, width: 224, top: 0, left: start });
});

describe("imaging quality's size", () => {
  test.each([
    { from: size(480, 720), to: size(341, 512) },
    { from: size(480, 832), to: size(295, 512) },
    { from: size(720, 1280), to: size(288, 512) },
    { from: size(480, 512), to: size(480, 512) },
    { from: size(300, 200), to: size(300, 200) },
  ])("of $from is $to", ({ from, to }) => {
    expect(imagingSize(from)).toEqual(to);
  });

  test("has a long side of 511 for the 470 of 513..4096 that VBench's order of operations misses", () => {
    const longs = Array.from({ length: 4096 - 512 }, (_, index) => index + 513);
    const missed = longs.filter((long) => imagingSize(size(8, long)).width === 511);
    expect(missed).toHaveLength(470);
    expect(missed).toEqual(expect.arrayContaining([853, 725, 788, 850]));
    expect(longs.every((long) => [511, 512].includes(imagingSize(size(8, long)).width))).toBe(true);
  });
});

describe("a transform", () => {
  const from = size(40, 61);
  const pixels = pixelsOf({ from: [40, 61], seed: 4, binary: false });

  test("gives the shape that its network reads", () => {
    expect(clipTransform(from)(pixels).shape).toEqual([1, 3, 224, 224]);
    expect(clipTransform(from, { isRounded: true })(pixels).shape).toEqual([1, 3, 224, 224]);
    expect(dinoTransform(from)(pixels).shape).toEqual([1, 3, 224, 341]);
    expect(i2vFrameTransform(from)(pixels).shape).toEqual([1, 3, 224, 224]);
    expect(i2vImageTransform(from)(pixels).shape).toEqual([1, 3, 224, 224]);
    expect(imagingTransform(from)(pixels).shape).toEqual([1, 3, 40, 61]);
  });

  test("of a constant picture is its normalized level in each channel", () => {
    const grey = new Uint8Array(40 * 61 * 3).fill(51);
    const expected = (mean: readonly number[], std: readonly number[]): number[] =>
      mean.map((value, index) => (0.2 - value) / (std[index] ?? NaN));
    const clip = expected([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]);
    const imageNet = expected([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    for (const [transform, levels] of [
      [clipTransform(from), clip],
      [clipTransform(from, { isRounded: true }), clip],
      [dinoTransform(from), imageNet],
      [i2vFrameTransform(from), imageNet],
      [i2vImageTransform(from), imageNet],
    ] as const) {
      const { data } = transform(grey);
      const plane = data.length / 3;
      for (let channel = 0; channel < 3; channel += 1) {
        expect(data[channel * plane]).toBeCloseTo(levels[channel] ?? NaN, 5);
        expect(data[(channel + 1) * plane - 1]).toBeCloseTo(levels[channel] ?? NaN, 5);
      }
    }
    expect(imagingTransform(from)(grey).data.every((value) => value === Math.fround(0.2))).toBe(true);
  });

  test("rounds to bytes for the middle frames, which changes the values by less than half a level's worth", () => {
    const open = clipTransform(from)(pixels).data;
    const rounded = clipTransform(from, { isRounded: true })(pixels).data;
    const red = (value: number): number => (value * 0.26862954 + 0.48145466) * 255;
    const levels = [...rounded.subarray(0, 224 * 224)].map(red);
    expect(levels.every((level) => Math.abs(level - Math.round(level)) < 1e-3)).toBe(true);
    const inside = levels.map((level, index) => [level, red(open[index] ?? NaN)] as const).filter(([, level]) => level > 0 && level < 255);
    expect(inside.every(([left, right]) => Math.abs(left - right) <= 0.501)).toBe(true);
    expect(inside.some(([left, right]) => Math.abs(left - right) > 0.3)).toBe(true);
  });

  test.each(imageCases)("takes VBench-I2V's reference image through Pillow, of $from", ({ from: [height, width], seed, sum, samples }) => {
    const { data } = i2vImageTransform(size(height, width))(pixelsOf({ from: [height, width], seed, binary: false }));
    expect(samples.map(([index]) => data[index])).toEqual(samples.map(([, value]) => Math.fround(value)));
    expect(Math.abs(data.reduce((total, value) => total + value, 0) - sum)).toBeLessThan(1e-3);
  });

  test("takes VBench-I2V's frames another way than its reference image", () => {
    expect(i2vFrameTransform(from)(pixels).data).not.toEqual(i2vImageTransform(from)(pixels).data);
  });
});

describe("padding", () => {
  test("repeats the edges on both sides, the odd pixel at the end", () => {
    const pixels = Uint8Array.from({ length: 3 * 5 * 3 }, (_, index) => index);
    const { shape, data } = flowInput(pixels, size(3, 5));
    expect(shape).toEqual([1, 3, 8, 8]);
    expect(flowSize(size(3, 5))).toEqual(size(8, 8));
    const rows = Array.from({ length: 8 }, (_, row) => [...data.subarray(row * 8, row * 8 + 8)]);
    // 5 columns: 1 before and 2 after; 3 rows: 2 before and 3 after.
    expect(rows[0]).toEqual([0, 0, 3, 6, 9, 12, 12, 12]);
    expect(rows[2]).toEqual(rows[0]);
    expect(rows[3]).toEqual([15, 15, 18, 21, 24, 27, 27, 27]);
    expect(rows[4]).toEqual([30, 30, 33, 36, 39, 42, 42, 42]);
    expect(rows[7]).toEqual(rows[4]);
  });

  test("leaves sizes that fit as they are", () => {
    expect(flowInput(new Uint8Array(8 * 16 * 3), size(8, 16)).shape).toEqual([1, 3, 8, 16]);
    expect(interpolationInput(new Uint8Array(16 * 32 * 3), size(16, 32)).shape).toEqual([1, 3, 16, 32]);
    expect(interpolationInput(new Uint8Array(17 * 33 * 3), size(17, 33)).shape).toEqual([1, 3, 32, 48]);
  });

  test("is taken off again, so a frame that went in and out is the same", () => {
    const edge = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(edge, edge, fc.nat(), (height, width, seed) => {
        const pixels = pixelsOf({ from: [height, width], seed, binary: false });
        // Half a level on top: division and multiplication may fall just short of a whole level, which would be cut off.
        const shifted = interpolationInput(pixels, size(height, width)).data.map((value) => value + 0.5 / 255);
        expect(interpolatedBytes(shifted, size(height, width))).toEqual(pixels);
      }),
    );
  });

  test("cuts predictions off to bytes, and clamps them", () => {
    const levels = [0.999999, 1.2, -0.3, 100.999 / 255, 254.9999 / 255, 1];
    const prediction = new Float32Array(3 * 16 * 16);
    levels.forEach((level, index) => prediction.fill(level, index * 16, index * 16 + 16));
    const bytes = interpolatedBytes(prediction, size(16, 16));
    expect(levels.map((_, row) => bytes[row * 16 * 3])).toEqual([254, 255, 0, 100, 254, 255]);
  });

  test("refuses other values than announced", () => {
    expect(() => flowInput(new Uint8Array(5), size(2, 2))).toThrow(/other bytes/);
    expect(() => interpolatedBytes(new Float32Array(5), size(2, 2))).toThrow(/not 5/);
  });
});
