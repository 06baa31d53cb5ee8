import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { decodeSafetensors, encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { float32, int64, uint8 } from "../../../services/domain/tensors/tensor.ts";
import type { Tensor } from "../../../services/domain/tensors/tensor.ts";

const shapes = fc.array(fc.nat(4), { maxLength: 4 });
const names = fc.string({ unit: "binary", maxLength: 12 }).filter((name) => name !== "__metadata__");

function tensorOf(shape: readonly number[]): fc.Arbitrary<Tensor> {
  const length = shape.reduce((count, extent) => count * extent, 1);
  const size = { minLength: length, maxLength: length };
  return fc.oneof(
    fc.float32Array(size).map((data) => float32(shape, data)),
    fc.bigInt64Array(size).map((data) => int64(shape, data)),
    fc.uint8Array(size).map((data) => uint8(shape, data)),
  );
}

const files = fc.dictionary(names, shapes.chain(tensorOf), { maxKeys: 5 });

function bytesOf(tensor: Tensor): Uint8Array {
  return new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength).slice();
}

/** A file with this header and `dataBytes` zero bytes behind it. */
function fileWith(header: unknown, dataBytes: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + text.byteLength + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.byteLength), true);
  file.set(text, 8);
  return file;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof FarmError) return thrown.code;
    throw thrown;
  }
  return "none";
}

describe("a safetensors file", () => {
  test("gives back every tensor and all metadata that were written", () => {
    fc.assert(
      fc.property(files, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
        const decoded = decodeSafetensors(encodeSafetensors(tensors, metadata));
        expect([...decoded.tensors.keys()].toSorted()).toEqual(Object.keys(tensors).toSorted());
        for (const [name, tensor] of Object.entries(tensors)) {
          const found = decoded.tensors.get(name);
          expect(found && { dtype: found.dtype, shape: found.shape, bytes: bytesOf(found) }).toEqual({
            dtype: tensor.dtype,
            shape: tensor.shape,
            bytes: bytesOf(tensor),
          });
        }
        expect(Object.entries(decoded.metadata).toSorted()).toEqual(Object.entries(metadata).toSorted());
      }),
    );
  });

  test("has the same bytes whatever order the tensors are named in", () => {
    fc.assert(
      fc.property(files, (tensors) => {
        const reversed = new Map(Object.entries(tensors).toReversed());
        expect(encodeSafetensors(reversed)).toEqual(encodeSafetensors(tensors));
      }),
    );
  });

  test("can be read from any position of a larger buffer", () => {
    const file = encodeSafetensors({ ids: int64([2], new BigInt64Array([1n, -2n])), x: float32([1], new Float32Array([1.5])) });
    const shifted = new Uint8Array(file.byteLength + 3);
    shifted.set(file, 3);
    const { tensors } = decodeSafetensors(shifted.subarray(3));
    expect(tensors.get("ids")?.data).toEqual(new BigInt64Array([1n, -2n]));
    expect(tensors.get("x")?.data).toEqual(new Float32Array([1.5]));
  });

  test("gives plain arrays also from a Node buffer that lies anywhere", () => {
    const file = encodeSafetensors({ x: float32([1], new Float32Array([1.5])), y: uint8([2], new Uint8Array([7, 8])) });
    for (const shift of [0, 1, 2, 3]) {
      const buffer = Buffer.concat([Buffer.alloc(shift), file]).subarray(shift);
      const { tensors } = decodeSafetensors(buffer);
      expect(tensors.get("x")?.data).toEqual(new Float32Array([1.5]));
      expect(tensors.get("y")?.data).toEqual(new Uint8Array([7, 8]));
    }
  });

  test("is refused with a typed error when cut short anywhere", () => {
    const file = encodeSafetensors({ x: float32([3], new Float32Array(3)), y: uint8([5], new Uint8Array(5)) });
    for (let length = 0; length < file.byteLength; length += 1) {
      expect(codeOf(() => decodeSafetensors(file.subarray(0, length)))).toBe("ARTIFACT_CORRUPT");
    }
  });

  test("never fails but with a typed error when bytes are changed", () => {
    const file = encodeSafetensors({ x: float32([3], new Float32Array(3)), y: uint8([5], new Uint8Array(5)) }, { seed: "7" });
    const change = fc.record({ at: fc.nat(file.byteLength - 1), to: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const damaged = file.slice();
        for (const { at, to } of changes) damaged[at] = to;
        expect(["none", "ARTIFACT_CORRUPT", "STAGE_INPUT_INVALID"]).toContain(codeOf(() => decodeSafetensors(damaged)));
      }),
      { numRuns: 500 },
    );
  });

  const row = (begin: number, end: number, shape: readonly number[] = [end - begin]): object => ({
    dtype: "U8",
    shape,
    data_offsets: [begin, end],
  });
  test.each([
    ["overlapping ranges", { a: row(0, 4), b: row(2, 6) }, 6],
    ["a gap between ranges", { a: row(0, 2), b: row(4, 6) }, 6],
    ["bytes after the last range", { a: row(0, 4) }, 6],
    ["a range beyond the file", { a: row(0, 8) }, 4],
    ["a range that runs backwards", { a: row(4, 0, [0]) }, 4],
    ["a shape that needs other bytes", { a: row(0, 4, [3]) }, 4],
    ["a negative extent", { a: row(0, 4, [-2, -2]) }, 4],
    ["a fractional extent", { a: row(0, 4, [0.5, 8]) }, 4],
    ["a shape too large to count", { a: row(0, 4, [2 ** 40, 2 ** 40]) }, 4],
    ["a row without shape", { a: { dtype: "U8", data_offsets: [0, 4] } }, 4],
    ["metadata that is no text", { __metadata__: { a: 1 } }, 0],
    ["a header that is a list", "[1]", 0],
    ["a header that is no JSON", '{"a":', 0],
  ])("is refused for %s", (_, header, dataBytes) => {
    expect(codeOf(() => decodeSafetensors(fileWith(header, dataBytes)))).toBe("ARTIFACT_CORRUPT");
  });

  test("of a dtype that no stage uses is refused as such", () => {
    const header = { a: { dtype: "BF16", shape: [2], data_offsets: [0, 4] } };
    expect(codeOf(() => decodeSafetensors(fileWith(header, 4)))).toBe("STAGE_INPUT_INVALID");
  });
});

describe("a tensor", () => {
  test("is refused when its data does not fit its shape", () => {
    expect(codeOf(() => float32([2, 2], new Float32Array(3)))).toBe("STAGE_INPUT_INVALID");
    expect(codeOf(() => uint8([-1], new Uint8Array(0)))).toBe("STAGE_INPUT_INVALID");
  });
});
