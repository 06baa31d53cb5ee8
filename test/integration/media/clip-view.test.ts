/**
 * What CLIP sees in a file: bicubic until the shortest edge fits, then the middle, from the picture's own size (spec §1.2.4).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Uint8Tensor } from "../../../services/domain/tensors/tensor.ts";
import { pixelsToClipInput } from "../../../services/domain/vap/clip-pixels.ts";
import { createFrameResizer } from "../../../services/domain/vap/frame-resize.ts";
import { defaultMediaLimits, type MediaLimits } from "../../../services/platform/media/limits.ts";
import { createMediaReader, type MediaReader } from "../../../services/platform/media/media-reader.ts";
import { clipNormalization } from "../../support/clip-normalization.ts";
import { makeClip, projectRoot, testFfmpegPath } from "../../support/ffmpeg.ts";
import { pixelsOf } from "../../support/fixture-image.ts";
import { maxDifference, openGolden } from "../../support/golden.ts";

const never = new AbortController().signal;
const resize = { kind: "cover", shortestEdge: 224, height: 224, width: 224 } as const;
const shape = [1, 224, 224, 3];
const media = (name: string): string => join(projectRoot, "test/fixtures/media", name);

let folder: string;
let ffmpegPath: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-clip-view-"));
  ffmpegPath = await testFfmpegPath();
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const readerWith = (limits: Partial<MediaLimits> = {}): MediaReader =>
  createMediaReader({ ffmpegPath, limits: { ...defaultMediaLimits, ...limits } });
const view = (path: string): Promise<Uint8Tensor> =>
  readerWith().decodeFrames(path, { selection: "first", count: 1, resize, signal: never });

describe("the golden media", () => {
  it.each([
    ["woman-7.jpg", "wan-unipc", "clip0_pixels"],
    ["animal-2.jpg", "wan-euler", "clip0_pixels"],
    ["man-534.mp4", "wan-unipc", "clip1_pixels"],
    ["man-534.mp4", "wan-euler", "clip1_pixels"],
  ] as const)("become what the reference's CLIP sees, to the last bit: %s in %s", async (file, golden, tensor) => {
    const seen = pixelsToClipInput(await view(media(file)), clipNormalization);
    const expected = openGolden(golden).float32(tensor);
    expect(seen.shape).toEqual(expected.shape);
    expect(maxDifference(seen.data, expected.data)).toBe(0);
  });
});

describe("any picture becomes 224x224", () => {
  it.each([
    ["portrait", 231, 400],
    ["landscape", 401, 230],
    ["square of the very size", 224, 224],
    ["smaller than that", 37, 21],
    ["one pixel", 1, 1],
    ["one pixel wide", 1, 300],
    ["one pixel high", 300, 1],
    ["a thousand times as wide as high", 9000, 9],
  ])("%s", async (name, width, height) => {
    const pixels = pixelsOf({ from: [height, width], seed: width, binary: false });
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(at(`${name}.png`));
    const seen = await view(at(`${name}.png`));
    expect(seen.shape).toEqual(shape);
    expect(Buffer.compare(seen.data, createFrameResizer({ height, width }, resize)(pixels))).toBe(0);
  });

  it("whose alpha is dropped, whose grey is spread", async () => {
    const background = { r: 200, g: 100, b: 50, alpha: 0.5 };
    await sharp({ create: { width: 300, height: 260, channels: 4, background } })
      .png()
      .toFile(at("alpha.png"));
    expect([...(await view(at("alpha.png"))).data.subarray(0, 6)]).toEqual([200, 100, 50, 200, 100, 50]);
    await sharp(Buffer.alloc(300 * 260, 77), { raw: { width: 300, height: 260, channels: 1 } })
      .toColourspace("b-w")
      .png()
      .toFile(at("grey.png"));
    expect(new Set((await view(at("grey.png"))).data)).toEqual(new Set([77]));
  });

  it("that EXIF would turn stays as it lies in the file", async () => {
    const pixels = pixelsOf({ from: [200, 300], seed: 5, binary: false });
    await sharp(pixels, { raw: { width: 300, height: 200, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .png()
      .toFile(at("turned.png"));
    const expected = createFrameResizer({ height: 200, width: 300 }, resize)(pixels);
    expect(Buffer.compare((await view(at("turned.png"))).data, expected)).toBe(0);
  });

  it("and so do the frames of a clip", async () => {
    await makeClip(at("clip.mp4"), { output: ["-c:v", "libx264", "-pix_fmt", "yuv420p"] });
    const request = { selection: "evenly", count: 3, resize, signal: never } as const;
    expect((await readerWith().decodeFrames(at("clip.mp4"), request)).shape).toEqual([3, 224, 224, 3]);
  });
});

it("limits hold for the picture in the file", async () => {
  const reader = readerWith({ pixelsPerFrame: 100_000 });
  const request = { selection: "first", count: 1, resize, signal: never } as const;
  await expect(reader.decodeFrames(media("animal-2.jpg"), request)).rejects.toMatchObject({ code: "MEDIA_TOO_LARGE" });
});
