import { expect, test } from "vitest";
import { float32Mean } from "../../../services/domain/vbench/float32-mean.ts";

/** Length and numpy's mean of float32(((i * 40503) % 65536) / 7). */
const means: readonly (readonly [length: number, mean: number])[] = [
  [1, 0.0],
  [7, 3983.734619140625],
  [8, 3867.5],
  [9, 4420.0],
  [127, 4631.890625],
  [128, 4631.5],
  [129, 4603.3935546875],
  [1000, 4665.7265625],
  [4097, 4679.357421875],
  [100003, 4680.95849609375],
];

test.each(means)("of %i values is numpy's, to the last bit", (length, mean) => {
  const values = Float32Array.from({ length }, (_, index) => ((index * 40503) % 65536) / 7);
  expect(float32Mean(values)).toBe(mean);
});
