import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createLanczosResizer, resizeLanczos } from "../../../services/domain/vap/lanczos.ts";

/**
 * Each case: pixels from the generator below, resized by Pillow 11.3.0 (`Image.fromarray(a).resize((W, H), Image.LANCZOS)`), SHA-256 of the
 * result's bytes. `binary` images are black and white only, which drives the negative lobes into clipping.
 */
type LanczosCase = { from: [number, number]; to: [number, number]; seed: number; binary: boolean; sha256: string };
const fixture = new URL("../../fixtures/vap/lanczos.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { cases: LanczosCase[] };

/** A linear congruential generator (Numerical Recipes), top byte: the same in Python and here. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

describe("the Lanczos resize", () => {
  test.each(cases)("gives Pillow's bytes from $from to $to", ({ from: [height, width], to, seed, binary, sha256 }) => {
    const raw = noise(height * width * 3, seed);
    const pixels = binary ? raw.map((level) => (level > 127 ? 255 : 0)) : raw;
    const before = pixels.slice();
    const resized = resizeLanczos(pixels, { height, width }, { height: to[0], width: to[1] });
    expect(createHash("sha256").update(resized).digest("hex")).toBe(sha256);
    expect(Buffer.compare(pixels, before)).toBe(0);
  });

  test("refuses pixels of another size than announced", () => {
    const resize = createLanczosResizer({ height: 2, width: 2 }, { height: 1, width: 1 });
    expect(() => resize(new Uint8Array(11))).toThrow(/other bytes/);
    expect(() => createLanczosResizer({ height: 0, width: 2 }, { height: 1, width: 1 })).toThrow(/no image size/);
  });
});
