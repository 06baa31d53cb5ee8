import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { float32 } from "../../../services/domain/tensors/tensor.ts";
import { dinoPositions } from "../../../services/domain/vbench/dino-positions.ts";
import { musiqTokenCount, musiqTokenLength, musiqTokens } from "../../../services/domain/vbench/musiq-tokens.ts";
import { createTorchResizer } from "../../../services/domain/vbench/torch-resize.ts";
import { imagingSize, imagingTransform } from "../../../services/domain/vbench/transforms.ts";
import { pixelsOf } from "../../support/fixture-image.ts";
import { maxDifference } from "../../support/golden.ts";
import { vbenchFixtures } from "../../support/vbench/stubs.ts";

function casesIn(file: string): unknown {
  return (JSON.parse(readFileSync(new URL(file, vbenchFixtures), "utf8")) as { cases: unknown }).cases;
}

type PositionCase = { grid: number; depth: number; size: [number, number]; patch: number; shape: number[]; values: number[] };

describe("DINO's positions", () => {
  const positionsOf = (grid: number, depth: number): ReturnType<typeof float32> => {
    const count = (1 + grid * grid) * depth;
    return float32(
      [1, 1 + grid * grid, depth],
      Float32Array.from({ length: count }, (_, k) => (((k * 37) % 101) - 50) / 64),
    );
  };

  test.each(casesIn("dino-positions.json") as readonly PositionCase[])("are the reference's for $size of a grid of $grid", (entry) => {
    const { grid, depth, size, patch, shape, values } = entry;
    const positions = dinoPositions(positionsOf(grid, depth), { height: size[0], width: size[1] }, patch);
    expect(positions.shape).toEqual(shape);
    // Of values up to 0.8 that jump from cell to cell, where DINO's own are of 0.02: 2.13's float32 places are worth 9e-7 here.
    expect(maxDifference(positions.data, values)).toBeLessThan(1e-6);
  });

  test("are taken as they are for 224x224 only, not for 112x448 with as many patches", () => {
    const embedding = positionsOf(14, 1);
    expect(dinoPositions(embedding, { height: 224, width: 224 })).toBe(embedding);
    expect(dinoPositions(embedding, { height: 112, width: 448 }).shape).toEqual([1, 197, 1]);
    expect(dinoPositions(embedding, { height: 112, width: 448 }).data).not.toEqual(embedding.data);
  });

  test("use the scale of h' + 0.1: that of h' would be off by a hundredth", () => {
    const embedding = positionsOf(14, 3);
    const channelsFirst = Float32Array.from({ length: 3 * 196 }, (_, k) => embedding.data[3 + (k % 196) * 3 + Math.floor(k / 196)] ?? NaN);
    const toSize = createTorchResizer({ height: 14, width: 14 }, { filter: "bicubic", to: { height: 14, width: 24 } })(channelsFirst);
    const { data } = dinoPositions(embedding, { height: 224, width: 398 });
    const bySize = toSize.map((_, k) => toSize[(k % 3) * 336 + Math.floor(k / 3)] ?? NaN);
    expect(maxDifference(data.subarray(3), bySize)).toBeGreaterThan(1e-2);
  });

  test("are refused where they are no square grid, or the pixels hold no patch", () => {
    expect(() => dinoPositions(float32([1, 6, 1], new Float32Array(6)), { height: 32, width: 32 })).toThrow(/expected/);
    expect(() => dinoPositions(positionsOf(2, 1), { height: 15, width: 32 })).toThrow(/no patch/);
  });
});

type TokenCase = {
  seed: number;
  from: [number, number];
  count: number;
  tails: number[][];
  sums: number[];
  weighted: number[];
  samples: [number, number, number][];
};

describe("MUSIQ's tokens", () => {
  test.each([
    [288, 512, 337],
    [480, 720, 538],
    [320, 512, 353],
  ])("of a picture of %ix%i are %i", (height, width, count) => {
    expect(musiqTokenCount({ height, width })).toBe(count);
  });

  test("of a frame of 480x720, which imaging quality makes 341x512, are 369", () => {
    expect(musiqTokenCount(imagingSize({ height: 480, width: 720 }))).toBe(49 + 144 + 11 * 16);
  });

  test("of 288x512 are 28, 84 and 144 real ones, the first two filled up by 81", () => {
    const { data } = musiqTokens(float32([1, 3, 288, 512], new Float32Array(3 * 288 * 512).fill(1)));
    const real = [0, 0, 0];
    for (let token = 0; token < 337; token += 1) {
      const [scale = NaN, mask] = data.subarray(token * musiqTokenLength + 3073, (token + 1) * musiqTokenLength);
      if (mask === 1) real[scale] = (real[scale] ?? NaN) + 1;
    }
    expect(real).toEqual([28, 84, 144]);
    expect(49 - 28 + 144 - 84).toBe(81);
  });

  test.each(casesIn("musiq-tokens.json") as readonly TokenCase[])("are torch's for a picture of $from", ({ seed, from, ...expected }) => {
    const picture = imagingTransform({ height: from[0], width: from[1] })(pixelsOf({ from, seed, binary: false }));
    const { shape, data } = musiqTokens(picture);
    expect(shape).toEqual([1, expected.count, musiqTokenLength]);
    const tokens = Array.from({ length: expected.count }, (_, token) =>
      data.subarray(token * musiqTokenLength, (token + 1) * musiqTokenLength),
    );
    expect(tokens.map((token) => [...token.subarray(3072)])).toEqual(expected.tails);
    const sum = (token: Float32Array, weight: (k: number) => number): number =>
      token.subarray(0, 3072).reduce((total, value, k) => total + value * weight(k), 0);
    expect(
      maxDifference(
        tokens.map((token) => sum(token, () => 1)),
        expected.sums,
      ),
    ).toBeLessThan(2e-3);
    expect(
      maxDifference(
        tokens.map((token) => sum(token, (k) => ((k * 7) % 13) - 6)),
        expected.weighted,
      ),
    ).toBeLessThan(2e-3);
    const samples = expected.samples.map(([token, value]) => tokens[token]?.[value] ?? NaN);
    expect(
      maxDifference(
        samples,
        expected.samples.map(([, , value]) => value),
      ),
    ).toBeLessThan(1e-5);
  });

  test("are refused for pictures of another shape, or so narrow that nothing is left of them", () => {
    expect(() => musiqTokens(float32([3, 2, 2], new Float32Array(12)))).toThrow(/expected/);
    expect(() => musiqTokenCount({ height: 1, width: 512 })).toThrow(/too narrow/);
  });
});
