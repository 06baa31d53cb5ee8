import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createResizer } from "../../../services/domain/vap/pillow-resize.ts";
import { type FixtureImage, pixelsOf } from "../../support/fixture-image.ts";

/**
 * Each case: `pixelsOf` the case, resized by Pillow (`Image.fromarray(a).resize((W, H), Image.LANCZOS)` of 11.3.0, BICUBIC of 12.3.0), SHA-256 of the
 * result's bytes. Pillow 13.0.0 gives other bytes where only the height shrinks, the same else.
 */
type ResizeCase = FixtureImage & { to: [number, number]; sha256: string };

function casesIn(file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(`../../fixtures/vap/${file}`, import.meta.url), "utf8")) as Record<string, unknown>;
}

const cases = [
  ...(casesIn("lanczos.json")["cases"] as ResizeCase[]).map((entry) => ({ filter: "lanczos" as const, ...entry })),
  ...(casesIn("bicubic.json")["bicubic"] as ResizeCase[]).map((entry) => ({ filter: "bicubic" as const, ...entry })),
];
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("the resize", () => {
  test.each(cases)("gives Pillow's bytes, $filter from $from to $to", ({ filter, from: [height, width], to, ...image }) => {
    const pixels = pixelsOf({ from: [height, width], ...image });
    const before = pixels.slice();
    const resized = createResizer({ height, width }, { filter, to: { height: to[0], width: to[1] } })(pixels);
    expect(sha256(resized)).toBe(image.sha256);
    expect(Buffer.compare(pixels, before)).toBe(0);
  });

  test("refuses pixels of another size than announced, and windows that are not inside", () => {
    const two = { height: 2, width: 2 };
    const resize = createResizer(two, { filter: "lanczos", to: { height: 1, width: 1 } });
    expect(() => resize(new Uint8Array(11))).toThrow(/other bytes/);
    expect(() => createResizer({ height: 0, width: 2 }, { filter: "lanczos", to: two })).toThrow(/no image size/);
    const outside = { top: 1, left: 0, height: 2, width: 2 };
    expect(() => createResizer(two, { filter: "bicubic", to: two, window: outside })).toThrow(/not inside/);
  });
});

/** Rows and columns of a window of uint8 [height,width,3]. */
function cut(pixels: Uint8Array, width: number, window: { top: number; left: number; height: number; width: number }): Uint8Array {
  const rows = Array.from({ length: window.height }, (_, row) => {
    const start = ((window.top + row) * width + window.left) * 3;
    return pixels.subarray(start, start + window.width * 3);
  });
  return Buffer.concat(rows);
}

test("a window is what the whole resize has there", () => {
  const edge = fc.integer({ min: 1, max: 40 });
  const image = fc.record({ height: edge, width: edge });
  const sizes = fc.tuple(image, image, fc.tuple(edge, edge, edge, edge), fc.constantFrom("bicubic" as const, "lanczos" as const), fc.nat());
  fc.assert(
    fc.property(sizes, ([from, to, [top, left, height, width], filter, seed]) => {
      const window = { top: top % to.height, left: left % to.width, height: 0, width: 0 };
      window.height = 1 + (height % (to.height - window.top));
      window.width = 1 + (width % (to.width - window.left));
      const pixels = pixelsOf({ from: [from.height, from.width], seed, binary: seed % 2 === 0 });
      const whole = createResizer(from, { filter, to })(pixels);
      const part = createResizer(from, { filter, to, window })(pixels);
      expect(Buffer.compare(part, cut(whole, to.width, window))).toBe(0);
    }),
    { numRuns: 150 },
  );
});
