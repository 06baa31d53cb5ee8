import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TorchGenerator } from "../../../services/domain/vap/torch-random.ts";
import { maxDifference } from "../../support/golden.ts";

/**
 * Each sequence: `g = torch.Generator("cpu").manual_seed(seed)`, then `torch.randn(n, generator=g)` for each size, by torch 2.13.0 on CPU.
 * `values` is base64 of little-endian float32: every value, or with `tails` only the last 20 of each draw.
 */
type Sequence = { seed: string; sizes: number[]; values: string; tails: boolean };
const fixture = new URL("../../fixtures/vap/torch-randn.json", import.meta.url);
const { sequences } = JSON.parse(readFileSync(fixture, "utf8")) as { sequences: Sequence[] };

function expectedValues(sequence: Sequence): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(sequence.values, "base64"));
  return new Float32Array(bytes.buffer);
}

describe("torch's CPU generator", () => {
  test.each(sequences)("gives torch's numbers for seed $seed and sizes $sizes", (sequence) => {
    const generator = TorchGenerator.seeded(BigInt(sequence.seed));
    const draws = sequence.sizes.map((size) => generator.randn(size));
    const kept = draws.flatMap((draw) => [...(sequence.tails ? draw.slice(-20) : draw)]);
    expect(maxDifference(kept, expectedValues(sequence))).toBeLessThanOrEqual(4.8e-7);
  });

  test("sees only the low 32 bits of a seed", () => {
    expect(TorchGenerator.seeded(5n).randn(20)).toEqual(TorchGenerator.seeded(2n ** 32n + 5n).randn(20));
  });

  test("refuses a seed out of range", () => {
    for (const seed of [-1n, 2n ** 63n]) {
      expect(() => TorchGenerator.seeded(seed)).toThrow(expect.objectContaining({ code: "FIELD_INVALID" }) as Error);
    }
  });

  test("goes on bit for bit from a state taken anywhere, and counts its draws", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 6 });
    fc.assert(
      fc.property(sizes, sizes, fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (before, after, seed) => {
        const whole = TorchGenerator.seeded(seed);
        for (const size of before) whole.randn(size);
        const state = whole.state();
        const expected = after.map((size) => whole.randn(size));
        const resumed = TorchGenerator.resumed(state);
        expect(after.map((size) => resumed.randn(size))).toEqual(expected);
        expect(resumed.state()).toEqual(whole.state());
        expect(resumed.state().draws).toBe([...before, ...after].reduce((sum, size) => sum + size, 0));
      }),
    );
  });

  test("refuses a damaged state", () => {
    const state = TorchGenerator.seeded(1n).state();
    const code = expect.objectContaining({ code: "ARTIFACT_CORRUPT" }) as Error;
    expect(() => TorchGenerator.resumed({ ...state, position: 700 })).toThrow(code);
    expect(() => TorchGenerator.resumed({ ...state, words: new Uint32Array(3) })).toThrow(code);
  });
});
