import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { defaultMediaLimits, type MediaLimits } from "../../../services/platform/media/limits.ts";
import { createMediaReader, type MediaReader } from "../../../services/platform/media/media-reader.ts";
import { goldenPixels, meanDifference } from "../../support/golden-pixels.ts";
import { maxDifference, openGolden } from "../../support/golden.ts";
import { makeClip, projectRoot, runTestFfmpeg, testFfmpegPath } from "../../support/ffmpeg.ts";

const media = (name: string): string => join(projectRoot, "test/fixtures/media", name);
const never = new AbortController().signal;
const resize = { kind: "stretch", height: 48, width: 64 } as const;
const mebibyte = 1024 ** 2;

let folder: string;
let ffmpegPath: string;
let reader: MediaReader;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-media-"));
  ffmpegPath = await testFfmpegPath();
  reader = createMediaReader({ ffmpegPath, limits: defaultMediaLimits });
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const withLimits = (limits: Partial<MediaLimits>): MediaReader =>
  createMediaReader({ ffmpegPath, limits: { ...defaultMediaLimits, ...limits } });

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  return thrown instanceof FarmError ? thrown.code : String(thrown);
}

describe("golden media", () => {
  it.each([
    ["animal-2.jpg", "cogvideox-ddim-1ref"],
    ["woman-7.jpg", "cogvideox-dpm-1ref"],
  ] as const)("gives the reference's pixels of %s exactly", async (image, golden) => {
    const frames = await reader.decodeFrames(media(image), { selection: "first", count: 1, resize, signal: never });
    expect(frames.shape).toEqual([1, 48, 64, 3]);
    expect(maxDifference(frames.data, goldenPixels(openGolden(golden), "image_pixels").data)).toBe(0);
  });

  it("gives the reference's pixels of the clip within half a level", async ({ annotate }) => {
    const done: number[] = [];
    const request = { selection: "evenly", count: 17, resize, signal: never, onFrame: (count: number) => void done.push(count) } as const;
    const frames = await reader.decodeFrames(media("man-534.mp4"), request);
    const expected = goldenPixels(openGolden("cogvideox-ddim-1ref"), "ref0_pixels").data;
    const [mean, max] = [meanDifference(frames.data, expected), maxDifference(frames.data, expected)];
    await annotate(`mean ${mean}, max ${max} levels`);
    expect(mean).toBeLessThanOrEqual(0.5);
    expect(done.at(-1)).toBe(17);
  });

  it("tells size, frames and type of clip and images", async () => {
    await expect(reader.inspect(media("man-534.mp4"), never)).resolves.toEqual({
      kind: "video",
      width: 1200,
      height: 768,
      frames: 129,
      mediaType: "video/mp4",
    });
    await expect(reader.inspect(media("animal-2.jpg"), never)).resolves.toEqual({
      kind: "image",
      width: 1920,
      height: 1080,
      frames: 1,
      mediaType: "image/jpeg",
    });
  });
});

describe("images that PIL converts in its own way", () => {
  const rgb = (image: string) =>
    reader.decodeFrames(at(image), { selection: "first", count: 1, resize: { kind: "stretch", height: 2, width: 2 }, signal: never });

  it("drops alpha instead of blending it", async () => {
    await sharp({ create: { width: 2, height: 2, channels: 4, background: { r: 200, g: 100, b: 50, alpha: 0 } } })
      .png()
      .toFile(at("alpha.png"));
    expect([...(await rgb("alpha.png")).data.subarray(0, 3)]).toEqual([200, 100, 50]);
  });

  it("spreads grey over three channels", async () => {
    await sharp(Buffer.from([0, 100, 200, 255]), { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace("b-w")
      .png()
      .toFile(at("grey.png"));
    expect([...(await rgb("grey.png")).data]).toEqual([0, 0, 0, 100, 100, 100, 200, 200, 200, 255, 255, 255]);
  });

  it("resolves a palette", async () => {
    await sharp(Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]), { raw: { width: 2, height: 2, channels: 3 } })
      .png({ palette: true, dither: 0 })
      .toFile(at("palette.png"));
    expect([...(await rgb("palette.png")).data.subarray(0, 6)]).toEqual([255, 0, 0, 0, 255, 0]);
  });

  it("does not rotate by EXIF", async () => {
    const pixels = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 1, 1, 1, 2, 2, 2]);
    await sharp(pixels, { raw: { width: 3, height: 2, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .png()
      .toFile(at("turned.png"));
    await expect(reader.inspect(at("turned.png"), never)).resolves.toMatchObject({ width: 3, height: 2 });
  });

  it("takes a still as a clip of one frame that repeats", async () => {
    const frames = await reader.decodeFrames(media("animal-2.jpg"), { selection: "evenly", count: 3, resize, signal: never });
    const bytes = 48 * 64 * 3;
    expect(frames.data.subarray(bytes, 2 * bytes)).toEqual(frames.data.subarray(0, bytes));
  });
});

describe("common containers", () => {
  it.each([
    ["clip.mp4", ["-c:v", "libx264", "-pix_fmt", "yuv420p"]],
    ["clip.mov", ["-c:v", "libx264", "-pix_fmt", "yuv420p"]],
    ["clip.webm", ["-c:v", "libvpx-vp9"]],
    ["clip.mkv", ["-c:v", "ffv1"]],
    ["clip.avi", ["-c:v", "mpeg4"]],
    ["clip.gif", []],
    ["clip.flv", ["-c:v", "flv"]],
    ["clip.ts", ["-c:v", "libx264", "-pix_fmt", "yuv420p"]],
    ["clip.y4m", ["-pix_fmt", "yuv420p"]],
  ])("reads %s", async (name, output) => {
    await makeClip(at(name), { output });
    await expect(reader.inspect(at(name), never)).resolves.toMatchObject({ kind: "video", width: 64, height: 48, frames: 32 });
  });

  it("keeps the pixels of a lossless clip", async () => {
    const pixels = Uint8Array.from({ length: 3 * 48 * 64 * 3 }, (_, index) => (index * 37 + (index >> 7)) & 255);
    await writeFile(at("raw.rgb"), pixels);
    await runTestFfmpeg([
      "-f",
      "rawvideo",
      "-pix_fmt",
      "rgb24",
      "-s",
      "64x48",
      "-r",
      "16",
      "-i",
      at("raw.rgb"),
      "-c:v",
      "ffv1",
      at("lossless.mkv"),
    ]);
    const frames = await reader.decodeFrames(at("lossless.mkv"), { selection: "first", count: 3, resize, signal: never });
    expect(maxDifference(frames.data, pixels)).toBe(0);
  });
});

describe("bad media", () => {
  async function cut(from: string, to: string, part: number): Promise<string> {
    const bytes = await readFile(from);
    await writeFile(at(to), bytes.subarray(0, Math.floor(bytes.length * part)));
    return at(to);
  }

  async function written(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(at(name), content);
    return at(name);
  }

  it.each([
    ["text", "hello, this is no media file"],
    ["an HLS playlist", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"],
    ["a concat script", "ffconcat version 1.0\nfile '/etc/passwd'\n"],
    ["an SVG", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="/etc/passwd"/></svg>'],
    ["a PDF", "%PDF-1.7\n"],
    ["a DASH manifest", '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'],
  ])("refuses %s as not decodable", async (name, content) => {
    expect(await codeOf(reader.inspect(await written(`${name}.mp4`, content), never))).toBe("MEDIA_NOT_DECODABLE");
  });

  it("refuses an empty file", async () => {
    expect(await codeOf(reader.inspect(await written("empty.mp4", ""), never))).toBe("MEDIA_EMPTY");
  });

  it.each([
    ["none.avi", "ffv1", "MEDIA_EMPTY"],
    ["none.mp4", "libx264", "MEDIA_NO_VIDEO"],
  ])("refuses %s that holds no frame", async (name, codec, code) => {
    await runTestFfmpeg(["-f", "lavfi", "-i", "testsrc=size=64x48:rate=16", "-frames:v", "0", "-c:v", codec, at(name)]);
    expect(await codeOf(reader.inspect(at(name), never))).toBe(code);
  });

  it.each([
    ["fast.mp4", ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]],
    ["tail.mp4", ["-c:v", "libx264", "-pix_fmt", "yuv420p"]],
    ["cut.webm", ["-c:v", "libvpx-vp9"]],
    ["cut.mkv", ["-c:v", "libx264"]],
    ["cut.avi", ["-c:v", "mpeg4"]],
    ["cut.flv", ["-c:v", "flv"]],
  ])("refuses a truncated %s", async (name, output) => {
    await makeClip(at(name), { output });
    for (const part of [0.5, 0.75, 0.95])
      expect(await codeOf(reader.inspect(await cut(at(name), `part-${name}`, part), never))).toBe("MEDIA_TRUNCATED");
  });

  it("refuses the golden clip with a damaged middle", async () => {
    const bytes = await readFile(media("man-534.mp4"));
    for (let index = 0; index < 20_000; index += 1) bytes[Math.floor(bytes.length / 2) + index] = (index * 7) & 255;
    expect(await codeOf(reader.inspect(await written("damaged.mp4", bytes), never))).toBe("MEDIA_TRUNCATED");
  });

  it.each([0.1, 0.5, 0.9, 0.99])("refuses a JPEG of which only %d is there", async (part) => {
    expect(await codeOf(reader.inspect(await cut(media("animal-2.jpg"), "cut.jpg", part), never))).toBe("MEDIA_TRUNCATED");
  });

  it("refuses a truncated PNG and WebP", async () => {
    await sharp(media("animal-2.jpg")).resize(200).png().toFile(at("whole.png"));
    await sharp(media("animal-2.jpg")).resize(200).webp().toFile(at("whole.webp"));
    expect(await codeOf(reader.inspect(await cut(at("whole.png"), "cut.png", 0.6), never))).toBe("MEDIA_TRUNCATED");
    expect(await codeOf(reader.inspect(await cut(at("whole.webp"), "cut.webp", 0.6), never))).toBe("MEDIA_TRUNCATED");
  });

  it.each(["sound.m4a", "sound.mkv", "sound.mp3", "sound.wav", "sound.ogg", "sound.flac"])(
    "refuses %s for having no picture",
    async (name) => {
      await runTestFfmpeg(["-f", "lavfi", "-i", "sine", "-t", "1", at(name)]);
      expect(await codeOf(reader.inspect(at(name), never))).toBe("MEDIA_NO_VIDEO");
    },
  );

  it("refuses more bytes, pixels or frames than allowed", async () => {
    await makeClip(at("limits.mp4"));
    const limit = (limits: Partial<MediaLimits>) => codeOf(withLimits(limits).inspect(at("limits.mp4"), never));
    expect(await limit({ bytes: 1000 })).toBe("MEDIA_TOO_LARGE");
    expect(await limit({ pixelsPerFrame: 64 * 48 - 1 })).toBe("MEDIA_TOO_LARGE");
    expect(await limit({ frames: 31 })).toBe("MEDIA_TOO_LARGE");
    expect(await codeOf(withLimits({ pixelsPerFrame: 1000 }).inspect(media("animal-2.jpg"), never))).toBe("MEDIA_TOO_LARGE");
    await expect(withLimits({ frames: 32, pixelsPerFrame: 64 * 48 }).inspect(at("limits.mp4"), never)).resolves.toMatchObject({
      frames: 32,
    });
  });

  it("ends a decode that takes too long", async () => {
    expect(await codeOf(withLimits({ decodeMs: 1 }).inspect(media("man-534.mp4"), never))).toBe("MEDIA_TIMEOUT");
  });

  it("ends a decode that needs more memory than allowed, of a clip as of an image", async () => {
    // Enough for ffmpeg to start, too little for a frame of 1200x768.
    expect(await codeOf(withLimits({ memoryBytes: 150 * mebibyte }).inspect(media("man-534.mp4"), never))).toBe("MEDIA_TOO_LARGE");
    const background = "red";
    for (const [name, format] of [
      ["large.png", "png"],
      ["large.webp", "webp"],
      ["large.jpg", "jpeg"],
    ] as const) {
      await sharp({ create: { width: 5000, height: 5000, channels: 3, background } })
        .toFormat(format)
        .toFile(at(name));
      expect(await codeOf(withLimits({ memoryBytes: 40 * mebibyte }).inspect(at(name), never)), name).toBe("MEDIA_TOO_LARGE");
      await expect(reader.inspect(at(name), never)).resolves.toMatchObject({ width: 5000, height: 5000 });
    }
  });

  it("ends a decode of an image at its deadline", async () => {
    expect(await codeOf(withLimits({ decodeMs: 20 }).inspect(media("animal-2.jpg"), never))).toBe("MEDIA_TIMEOUT");
  });

  it.each(["man-534.mp4", "animal-2.jpg"])("ends a decode of %s whose caller goes away", async (name) => {
    const caller = new AbortController();
    const pending = codeOf(reader.inspect(media(name), caller.signal));
    caller.abort();
    expect(await pending).toBe("STAGE_CANCELLED");
  });

  it("refuses a clip that is shorter than `first` must take", async () => {
    await makeClip(at("short.mp4"), { seconds: 0.5 });
    expect(await codeOf(reader.decodeFrames(at("short.mp4"), { selection: "first", count: 17, resize, signal: never }))).toBe(
      "MEDIA_TOO_SHORT",
    );
  });
});
