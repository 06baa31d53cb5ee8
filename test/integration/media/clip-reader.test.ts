import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ColourStream, readClip } from "../../../services/platform/media/clip-reader.ts";
import { defaultMediaLimits } from "../../../services/platform/media/limits.ts";
import { createClipCache } from "../../../services/worker/runtime/thread/clip-cache.ts";
import { makeClip, runTestFfmpeg, testFfmpegPath } from "../../support/ffmpeg.ts";

const tagged = fileURLToPath(new URL("../../fixtures/media/man-534.mp4", import.meta.url));
let folder: string;
let decoder: { readonly ffmpegPath: string; readonly limits: typeof defaultMediaLimits; readonly signal: AbortSignal };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-clips-"));
  decoder = { ffmpegPath: await testFfmpegPath(), limits: defaultMediaLimits, signal: new AbortController().signal };
});
afterAll(() => rm(folder, { recursive: true }));

const read = (path: string, stream: ColourStream = "rgb") => readClip(path, { stream, onFrame: () => undefined }, decoder);

describe("a clip as VBench reads it", () => {
  it("has each decoded frame once, where a constant rate would repeat some", async () => {
    const path = join(folder, "irregular.mp4");
    const source = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=16:d=1"];
    await runTestFfmpeg([
      ...source,
      "-vf",
      "setpts='PTS+gte(N,8)*2/TB'",
      "-fps_mode",
      "vfr",
      "-c:v",
      "libx264",
      "-pix_fmt",
      "yuv420p",
      path,
    ]);
    const { facts, frames } = await read(path);
    expect([facts.frameCount, frames.length]).toEqual([16, 16]);
  });

  it.each([
    ["24000/1001", { numerator: 24000, denominator: 1001 }],
    ["20", { numerator: 20, denominator: 1 }],
    ["36", { numerator: 36, denominator: 1 }],
  ])("of a rate of %s says exactly that", async (rate, fps) => {
    const path = join(folder, `rate-${rate.replace("/", "-")}.mp4`);
    await runTestFfmpeg(["-f", "lavfi", "-i", `testsrc2=s=64x48:r=${rate}:d=0.5`, "-c:v", "libx264", "-pix_fmt", "yuv420p", path]);
    expect((await read(path)).facts.fps).toEqual(fps);
  });

  it("has two streams of a file that tags its colours, some levels apart, and one of others", async () => {
    const [rgb, bt601] = [await read(tagged, "rgb"), await read(tagged, "bt601")];
    expect([rgb.facts.isTagged, bt601.facts.isTagged]).toEqual([true, true]);
    const [left = new Uint8Array(), right = new Uint8Array()] = [rgb.frames[0], bt601.frames[0]];
    const apart = left.reduce((sum, level, index) => sum + Math.abs(level - (right[index] ?? 0)), 0) / left.length;
    expect(apart).toBeGreaterThan(0.5);
    const plain = await makeClip(join(folder, "plain.mp4"));
    expect((await read(plain)).facts.isTagged).toBe(false);
    expect((await read(plain, "rgb")).frames).toEqual((await read(plain, "bt601")).frames);
  });

  it("is refused where it changes its size, is a picture or takes more pixels than allowed", async () => {
    const large = { ...decoder, limits: { ...defaultMediaLimits, pixelsPerFrame: 64 * 48 - 1 } };
    const plain = await makeClip(join(folder, "large.mp4"));
    await expect(readClip(plain, { stream: "rgb", onFrame: () => undefined }, large)).rejects.toMatchObject({ code: "MEDIA_TOO_LARGE" });
    await expect(read(fileURLToPath(new URL("../../fixtures/media/animal-2.jpg", import.meta.url)))).rejects.toMatchObject({
      code: "MEDIA_NO_VIDEO",
    });
  });
});

describe("kept clips", () => {
  const cacheRead = async (cache: ReturnType<typeof createClipCache>, path: string, stream: ColourStream) => {
    let decoded = 0;
    const clip = await cache.read({ path, stream, decoder, onFrame: (frames) => (decoded = frames) });
    return { clip, decoded };
  };

  it("keep the two streams of a tagged file apart", async () => {
    const cache = createClipCache(4 * 1024 ** 3);
    const rgb = await cacheRead(cache, tagged, "rgb");
    const bt601 = await cacheRead(cache, tagged, "bt601");
    expect([rgb.decoded, bt601.decoded]).toEqual([129, 129]);
    expect(rgb.clip.frames[0]).not.toEqual(bt601.clip.frames[0]);
    expect((await cacheRead(cache, tagged, "rgb")).clip).toBe(rgb.clip);
  });

  it("let go of the oldest when they are more than the budget, and never of the newest", async () => {
    const one = await makeClip(join(folder, "one.mp4"), { size: "64x48" });
    const other = await makeClip(join(folder, "other.mp4"), { size: "80x48" });
    const cache = createClipCache(1);
    expect((await cacheRead(cache, one, "rgb")).decoded).toBe(32);
    expect((await cacheRead(cache, one, "rgb")).decoded).toBe(0);
    expect((await cacheRead(cache, other, "rgb")).decoded).toBe(32);
    expect((await cacheRead(cache, one, "rgb")).decoded).toBe(32);
  });
});
