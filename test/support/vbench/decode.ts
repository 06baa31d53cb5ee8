/**
 * Clips decoded by the command that spec vbench §1.0 gives, frame by frame, so that the metrics' arithmetic is tested apart from the farm's decoder.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { ImageSize } from "../../../services/domain/vap/pillow-resize.ts";
import { testFfmpegPath } from "../ffmpeg.ts";

export type ColourProfile = "rgb" | "bt601";

export type DecodedClip = {
  readonly size: ImageSize;
  /** uint8 [H,W,3] each. */
  readonly frames: AsyncIterable<Uint8Array>;
};

const channels = 3;
/** The static build crashes in the machine's character converters, which it loads for a stream's title. */
const env = { GCONV_PATH: "/nonexistent" };
/** OpenCV's colours: the matrix and range tags are dropped. */
const untagged = ["-vf", "setparams=colorspace=unknown:range=unknown,scale"];

/** Opens a clip; its frames must be read to the end. */
export async function decodeClip(path: string, profile: ColourProfile = "rgb"): Promise<DecodedClip> {
  const source = ["-hide_banner", "-nostdin", "-i", path, "-map", "0:v:0"];
  const filter = profile === "bt601" ? untagged : [];
  const output = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"];
  const child = spawn(await testFfmpegPath(), [...source, ...filter, ...output], { stdio: ["ignore", "pipe", "pipe"], env });
  const size = await outputSize(createInterface({ input: child.stderr }), path);
  return { size, frames: framesOf(child.stdout as AsyncIterable<Uint8Array>, size.height * size.width * channels) };
}

/** All frames in memory: for short clips. */
export async function decodeFrames(
  path: string,
  profile: ColourProfile = "rgb",
): Promise<{ size: ImageSize; frames: readonly Uint8Array[] }> {
  const { size, frames } = await decodeClip(path, profile);
  const all: Uint8Array[] = [];
  for await (const frame of frames) all.push(frame);
  return { size, frames: all };
}

/** What ffmpeg says about the stream that it writes. The rest of what it says is read and dropped. */
function outputSize(lines: ReturnType<typeof createInterface>, path: string): Promise<ImageSize> {
  return new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const found = /Video: rawvideo.*?, (\d+)x(\d+)/.exec(line);
      if (found !== null) resolve({ width: Number(found[1]), height: Number(found[2]) });
    });
    lines.on("close", () => {
      reject(new TypeError(`ffmpeg wrote no picture of ${path}`));
    });
  });
}

async function* framesOf(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let frame = new Uint8Array(bytes);
  let filled = 0;
  for await (const chunk of chunks) {
    let read = 0;
    while (read < chunk.length) {
      const part = chunk.subarray(read, read + bytes - filled);
      frame.set(part, filled);
      filled += part.length;
      read += part.length;
      if (filled < bytes) continue;
      yield frame;
      frame = new Uint8Array(bytes);
      filled = 0;
    }
  }
  if (filled > 0) throw new TypeError("the last frame is not whole");
}
