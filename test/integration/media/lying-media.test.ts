import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { defaultMediaLimits, type MediaLimits } from "../../../services/platform/media/limits.ts";
import { createMediaReader, type MediaReader } from "../../../services/platform/media/media-reader.ts";
import { makeClip, projectRoot, testFfmpegPath } from "../../support/ffmpeg.ts";

const media = (name: string): string => join(projectRoot, "test/fixtures/media", name);
const never = new AbortController().signal;
const mebibyte = 1024 ** 2;

let folder: string;
let ffmpegPath: string;
let reader: MediaReader;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-lies-"));
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

describe("media that lies about itself", () => {
  function chunk(type: string, data: Uint8Array): Buffer {
    const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length, 0);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc32(body), body.length + 4);
    return framed;
  }

  /** An RGB PNG whose header says `width` x `height`, whatever its pixels are. */
  async function png(name: string, [width, height]: readonly [number, number], pixelBytes: number): Promise<string> {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header.set([8, 2, 0, 0, 0], 8);
    const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.alloc(pixelBytes))), chunk("IEND", new Uint8Array())];
    await writeFile(at(name), Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts]));
    return at(name);
  }

  /** The golden clip with bytes put in at a distance from a box's type. */
  async function patched(name: string, box: string, [distance, ...bytes]: readonly [number, ...number[]]): Promise<string> {
    const clip = await readFile(media("man-534.mp4"));
    clip.set(bytes, clip.indexOf(box, clip.indexOf("moov")) + distance);
    await writeFile(at(name), clip);
    return at(name);
  }

  it("is judged by what decodes: a PNG that says more than it holds, less, or too much", async () => {
    expect(await codeOf(reader.inspect(await png("vast.png", [30_000, 30_000], 1000), never))).toBe("MEDIA_TOO_LARGE");
    expect(await codeOf(reader.inspect(await png("hollow.png", [5000, 5000], 1000), never))).toBe("MEDIA_TRUNCATED");
    const bomb = withLimits({ memoryBytes: 64 * mebibyte }).inspect(await png("bomb.png", [16, 16], 200 * mebibyte), never);
    await expect(bomb).resolves.toMatchObject({ width: 16, height: 16 });
  });

  it("is refused when an mp4 claims more pixels than allowed, and counted by its frames when it claims more of them", async () => {
    const size = [28, 0x75, 0x30, 0x75, 0x30] as const;
    expect(await codeOf(reader.inspect(await patched("vast.mp4", "avc1", size), never))).toBe("MEDIA_TOO_LARGE");
    const count = [12, 0x7f, 0xff, 0xff, 0xff] as const;
    await expect(reader.inspect(await patched("many.mp4", "stts", count), never)).resolves.toMatchObject({ frames: 129 });
  });

  it("is refused when the last frame comes so late that the frames before repeat more often than the limit on frames allows", async () => {
    await makeClip(at("stretched.mp4"), {
      output: ["-vf", "setpts=if(gte(N\\,31)\\,PTS+10000\\,PTS)", "-fps_mode", "passthrough", "-c:v", "libx264", "-pix_fmt", "yuv420p"],
    });
    expect(await codeOf(withLimits({ frames: 1000 }).inspect(at("stretched.mp4"), never))).toBe("MEDIA_TOO_LARGE");
  });
});

describe("animations", () => {
  it.each([
    ["moving.webp", ["-c:v", "libwebp_anim"], { kind: "image", frames: 1 }],
    ["moving.png", ["-f", "apng"], { kind: "image", frames: 1 }],
    ["moving.gif", [], { kind: "video", frames: 32 }],
  ])("in %s are taken as the README says", async (name, output, expected) => {
    await makeClip(at(name), { output });
    await expect(reader.inspect(at(name), never)).resolves.toMatchObject({ ...expected, width: 64, height: 48 });
  });
});
