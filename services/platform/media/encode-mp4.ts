/**
 * Frames → mp4, as the reference exports (diffusers export_to_video through imageio-ffmpeg 0.6.0: libx264, crf 25 for quality 5, yuv420p,
 * 16 fps, sizes stretched up to multiples of 16).
 *
 * Added: the index in front, a fixed thread count and no version tags, so that equal frames give equal bytes with one ffmpeg; and
 * the file appears under its name whole or not at all.
 */
import { open, rename, rm } from "node:fs/promises";
import type { Writable } from "node:stream";
import { FarmError } from "../../domain/errors.ts";
import type { Uint8Tensor } from "../../domain/tensors/tensor.ts";
import { runFfmpeg } from "./ffmpeg-process.ts";

export type Mp4Request = {
  readonly ffmpegPath: string;
  /** uint8 [frames,height,width,3]. */
  readonly frames: Uint8Tensor;
  readonly fps: number;
  /** Where the file appears; its folder exists. */
  readonly path: string;
  readonly signal: AbortSignal;
  readonly onFrame?: (done: number) => void;
};

const macroBlock = 16;
const crf = 25;
const threads = 2;
const memoryBytes = 8 * 1024 ** 3;

/** Encodes and syncs the file; MEDIA_ENCODE_FAILED carries what ffmpeg said. */
export async function encodeMp4(request: Mp4Request): Promise<void> {
  const partial = `${request.path}.partial`;
  try {
    await encode(request, partial);
    await sync(partial);
    await rename(partial, request.path);
  } catch (thrown) {
    await rm(partial, { force: true });
    if (request.signal.aborted) throw new FarmError("STAGE_CANCELLED", { cause: thrown });
    throw thrown;
  }
}

async function encode(request: Mp4Request, path: string): Promise<void> {
  const { ffmpegPath, signal } = request;
  const exit = await runFfmpeg({ ffmpegPath, args: encodeArgs(request, path), memoryBytes, signal }, async ({ stdin, stdout }) => {
    stdout.resume();
    await writeFrames(request, stdin);
    return "all";
  });
  if (exit.exitCode === 0) return;
  throw new FarmError("MEDIA_ENCODE_FAILED", { message: `ffmpeg ended with ${exit.exitCode ?? exit.killedBy}: ${exit.log.slice(-500)}` });
}

function encodeArgs(request: Mp4Request, path: string): readonly string[] {
  const [, height = 0, width = 0] = request.frames.shape;
  const input = ["-y", "-f", "rawvideo", "-vcodec", "rawvideo", "-s", `${width}x${height}`, "-pix_fmt", "rgb24", "-r", String(request.fps)];
  const codec = ["-an", "-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", String(crf), "-threads", String(threads)];
  const [outWidth, outHeight] = [roundUp(width), roundUp(height)];
  const scale = outWidth === width && outHeight === height ? [] : ["-vf", `scale=${outWidth}:${outHeight}`];
  const container = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4"];
  return [...input, "-i", "pipe:0", ...codec, ...scale, ...container, `file:${path}`];
}

function roundUp(extent: number): number {
  return Math.ceil(extent / macroBlock) * macroBlock;
}

async function writeFrames({ frames, onFrame }: Mp4Request, stdin: Writable): Promise<void> {
  const [count = 0, height = 0, width = 0] = frames.shape;
  const frameBytes = height * width * 3;
  for (let index = 0; index < count; index += 1) {
    if (stdin.destroyed) return;
    const isBuffered = stdin.write(frames.data.subarray(index * frameBytes, (index + 1) * frameBytes));
    if (!isBuffered) await drained(stdin);
    onFrame?.(index + 1);
  }
  stdin.end();
}

/** Resolves when the pipe takes more or is gone; why it is gone, the process's exit tells. */
function drained(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      for (const event of ["drain", "close", "error"]) stdin.off(event, finish);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) stdin.once(event, finish);
  });
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
