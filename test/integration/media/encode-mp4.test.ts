import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { uint8, type Uint8Tensor } from "../../../services/domain/tensors/tensor.ts";
import { encodeMp4 } from "../../../services/platform/media/encode-mp4.ts";
import { defaultMediaLimits } from "../../../services/platform/media/limits.ts";
import { createMediaReader } from "../../../services/platform/media/media-reader.ts";
import { testFfmpegPath } from "../../support/ffmpeg.ts";

const never = new AbortController().signal;
let folder: string;
let ffmpegPath: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-mp4-"));
  ffmpegPath = await testFfmpegPath();
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A smooth gradient that moves, uint8 [frames,height,width,3]. */
function gradient(frames: number, height: number, width: number): Uint8Tensor {
  const data = new Uint8Array(frames * height * width * 3);
  for (let index = 0; index < data.length; index += 1) {
    const place = Math.trunc(index / 3);
    data[index] = ((place % width) * 2 + Math.trunc(place / width / height) * 3 + (index % 3) * 20) & 255;
  }
  return uint8([frames, height, width, 3], data);
}

const encode = (name: string, frames: Uint8Tensor, signal = never): Promise<void> =>
  encodeMp4({ ffmpegPath, frames, fps: 16, path: join(folder, name), signal });

describe("encodeMp4", () => {
  it("writes every frame at 16 fps and near the pixels that went in", async () => {
    const frames = gradient(17, 48, 64);
    await encode("out.mp4", frames);
    const reader = createMediaReader({ ffmpegPath, limits: defaultMediaLimits });
    await expect(reader.inspect(join(folder, "out.mp4"), never)).resolves.toMatchObject({
      width: 64,
      height: 48,
      frames: 17,
      mediaType: "video/mp4",
    });
    const read = await reader.decodeFrames(join(folder, "out.mp4"), {
      selection: "first",
      count: 17,
      resize: { kind: "stretch", width: 64, height: 48 },
      signal: never,
    });
    const mean = read.data.reduce((sum, value, index) => sum + Math.abs(value - (frames.data[index] ?? 0)), 0) / read.data.length;
    expect(mean).toBeLessThan(12);
  });

  it("gives equal bytes for equal frames", async () => {
    await encode("one.mp4", gradient(9, 48, 64));
    await encode("two.mp4", gradient(9, 48, 64));
    expect(await readFile(join(folder, "one.mp4"))).toEqual(await readFile(join(folder, "two.mp4")));
  });

  it("stretches sizes up to multiples of 16, as the reference does", async () => {
    await encode("odd.mp4", gradient(2, 50, 70));
    const reader = createMediaReader({ ffmpegPath, limits: defaultMediaLimits });
    await expect(reader.inspect(join(folder, "odd.mp4"), never)).resolves.toMatchObject({ width: 80, height: 64 });
  });

  it("leaves nothing behind when it is cancelled", async () => {
    const caller = new AbortController();
    const pending = encode("cancelled.mp4", gradient(200, 480, 720), caller.signal);
    caller.abort();
    await expect(pending).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
    expect((await readdir(folder)).filter((name) => name.startsWith("cancelled"))).toEqual([]);
  });

  it("says why it could not encode", async () => {
    await expect(encode("missing/out.mp4", gradient(2, 48, 64))).rejects.toMatchObject({ code: "MEDIA_ENCODE_FAILED" });
  });
});
