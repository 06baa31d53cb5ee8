import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { uint8 } from "../../../services/domain/tensors/tensor.ts";
import { pixelsToClipInput } from "../../../services/domain/vap/clip-pixels.ts";
import { centerWindow, coverSize, createFrameResizer } from "../../../services/domain/vap/frame-resize.ts";
import { clipNormalization } from "../../support/clip-normalization.ts";
import { type FixtureImage, pixelsOf } from "../../support/fixture-image.ts";

/**
 * Made with CLIPImageProcessor (the slow one) of transformers 4.57.6, Pillow 12.3.0 and numpy 2.4.6, from the golden Wan checkpoint's
 * preprocessor_config.json with the edge and crop of a case and `input_data_format="channels_last"`: `resized`, then SHA-256 of the cropped bytes and of
 * the float32 pixel values [3,H,W].
 */
type CoverCase = FixtureImage & {
  shortest_edge: number;
  crop: [number, number];
  resized: [number, number];
  sha256: string;
  float_sha256: string;
};
const fixture = new URL("../../fixtures/vap/bicubic.json", import.meta.url);
const { cover } = JSON.parse(readFileSync(fixture, "utf8")) as { cover: CoverCase[] };
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("what CLIP sees", () => {
  test.each(cover)("of $from, edge $shortest_edge, crop $crop is the reference's to the last bit", (image) => {
    const from = { height: image.from[0], width: image.from[1] };
    const [height, width] = image.crop;
    expect(coverSize(from, image.shortest_edge)).toEqual({ height: image.resized[0], width: image.resized[1] });
    const resize = createFrameResizer(from, { kind: "cover", shortestEdge: image.shortest_edge, height, width });
    const cropped = resize(pixelsOf(image));
    expect(sha256(cropped)).toBe(image.sha256);
    const { shape, data } = pixelsToClipInput(uint8([1, height, width, 3], cropped), clipNormalization);
    expect(shape).toEqual([1, 3, height, width]);
    expect(sha256(new Uint8Array(data.buffer))).toBe(image.float_sha256);
  });

  test("is cut from the middle, an odd row or column going off the end", () => {
    expect(centerWindow({ height: 225, width: 400 }, { height: 224, width: 224 })).toEqual({ top: 0, left: 88, height: 224, width: 224 });
    expect(centerWindow({ height: 227, width: 401 }, { height: 224, width: 224 })).toEqual({ top: 1, left: 88, height: 224, width: 224 });
    expect(() => centerWindow({ height: 224, width: 223 }, { height: 224, width: 224 })).toThrow(/does not fit/);
  });

  test("of a picture 20000 times as long as wide needs no more memory than the picture", () => {
    const tall = { height: 20_000, width: 1 };
    expect(coverSize(tall, 224)).toEqual({ height: 4_480_000, width: 224 });
    const pixels = new Uint8Array(tall.height * 3).fill(7);
    pixels.fill(90, 9_990 * 3, 10_010 * 3);
    const seen = createFrameResizer(tall, { kind: "cover", shortestEdge: 224, height: 224, width: 224 })(pixels);
    expect(seen).toHaveLength(224 * 224 * 3);
    expect([...new Set(seen)]).toEqual([90]);
  });

  test("is one frame of RGB", () => {
    expect(() => pixelsToClipInput(uint8([2, 1, 1, 3], new Uint8Array(6)), clipNormalization)).toThrow(/\[2,1,1,3\]/);
    expect(() => pixelsToClipInput(uint8([1, 1, 1, 4], new Uint8Array(4)), clipNormalization)).toThrow(/\[1,1,1,4\]/);
  });
});
