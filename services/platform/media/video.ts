/**
 * Frames of a video, as the reference reads them (imageio-ffmpeg 0.6.0 `read_frames`: ffmpeg's default constant frame rate, rotation and
 * RGB conversion; measured equal to the golden clip to the last bit with ffmpeg 5.1 and 7.0).
 *
 * Invariants: ffmpeg may open that one file only, with the demuxer that its first bytes name; limits hold for what is decoded; a file that
 * is cut or damaged is refused although ffmpeg would play its beginning.
 */
import { FarmError } from "../../domain/errors.ts";
import { runFfmpeg } from "./ffmpeg-process.ts";
import type { MediaLimits } from "./limits.ts";
import type { MediaExit } from "./media-process.ts";
import { type FrameHeader, type PnmConsumer, PnmStream } from "./pnm-stream.ts";

export type VideoSource = { readonly path: string; readonly demuxer: string };
export type VideoDecoder = { readonly ffmpegPath: string; readonly limits: MediaLimits; readonly signal: AbortSignal };
export type VideoSize = { readonly width: number; readonly height: number; readonly frames: number };

/** ffmpeg says these of files that end early or are damaged, and of no sound file seen so far; other errors are common in healthy clips. */
const damage =
  /partial file|File ended prematurely|moov atom not found|corrupt input packet|error while decoding MB|Invalid NAL unit size|Decoding error|LZW decode failed|Error splitting the input into NAL units|illegal ac vlc code|Truncated packet|opening input: End of file/i;
const tooManyPixels = /exceeds specified max pixel count|Picture size \S+ is invalid/i;
/** The second is a thread that got no stack. */
const noMemory = /Cannot allocate memory|Resource temporarily unavailable/i;
const noFrame = /Cannot determine format of input|received no packets/i;
const noStream = /does not contain any stream|matches no streams/i;

/** Decodes the whole clip once, luma only: its size, its number of frames, and whether it is sound. */
export async function scanVideo(source: VideoSource, decoder: VideoDecoder): Promise<VideoSize> {
  let size: FrameHeader | undefined;
  const wants = (header: FrameHeader): boolean => {
    size ??= header;
    return false;
  };
  const output = ["-pix_fmt", "gray", "-vcodec", "pgm"];
  const frames = await decodePass({ source, decoder, output, isEnough: () => false }, { wants, take: () => undefined });
  if (size === undefined) throw new FarmError("MEDIA_EMPTY");
  return { width: size.width, height: size.height, frames };
}

/** Decodes up to frame `last` in RGB and hands out those that `consumer` wants. */
export async function readVideo(
  source: VideoSource,
  decoder: VideoDecoder,
  wanted: PnmConsumer & { readonly last: number },
): Promise<void> {
  const output = ["-pix_fmt", "rgb24", "-vcodec", "ppm"];
  const frames = await decodePass({ source, decoder, output, isEnough: (count) => count > wanted.last }, wanted);
  if (frames <= wanted.last) throw new FarmError("MEDIA_TRUNCATED", { message: `the clip ended after ${frames} frames, expected more` });
}

/** One decode of a file: what ffmpeg writes, and when that is enough. */
export type DecodePass = {
  readonly source: VideoSource;
  readonly decoder: VideoDecoder;
  readonly output: readonly string[];
  readonly isEnough: (frames: number) => boolean;
};

/** Runs a pass to its end, or until it is enough; how many frames came. What the file is not is a FarmError. */
export async function decodePass(pass: DecodePass, consumer: PnmConsumer): Promise<number> {
  const { decoder } = pass;
  const stream = new PnmStream(limited(consumer, decoder.limits));
  const run = { ...decoder, args: decodeArgs(pass), memoryBytes: decoder.limits.memoryBytes };
  const exit = await runFfmpeg(run, async ({ stdin, stdout }) => {
    stdin.end();
    for await (const chunk of stdout) {
      stream.push(chunk as Uint8Array);
      if (pass.isEnough(stream.frames)) return "enough";
    }
    return "all";
  });
  if (!exit.endedEarly) judge(exit, stream);
  return stream.frames;
}

function decodeArgs({ source, decoder, output }: DecodePass): readonly string[] {
  return [...inputArgs(source, decoder), "-an", "-sn", "-dn", ...output, "-f", "image2pipe", "-"];
}

/** One file, by the demuxer that its first bytes name, under the limits. */
export function inputArgs({ path, demuxer }: VideoSource, { limits }: Pick<VideoDecoder, "limits">): readonly string[] {
  const limited = ["-protocol_whitelist", "file", "-max_pixels", String(limits.pixelsPerFrame), "-threads", "2"];
  return [...limited, "-f", demuxer, "-i", `file:${path}`];
}

function limited(consumer: PnmConsumer, limits: MediaLimits): PnmConsumer {
  return {
    wants(header) {
      if (header.index >= limits.frames) throw new FarmError("MEDIA_TOO_LARGE", { message: `more than ${limits.frames} frames` });
      if (header.width * header.height > limits.pixelsPerFrame) throw tooLargeFrame(limits);
      return consumer.wants(header);
    },
    take: (header, pixels) => consumer.take(header, pixels),
  };
}

/** What a decode that ran to its end says about the file. */
function judge(exit: MediaExit, stream: PnmStream): void {
  const { log } = exit;
  const details = { ffmpeg: lastLines(log) };
  if (tooManyPixels.test(log)) throw new FarmError("MEDIA_TOO_LARGE", { message: "a frame has more pixels than allowed", details });
  if (noMemory.test(log)) throw new FarmError("MEDIA_TOO_LARGE", { message: "decoding needs more memory than allowed", details });
  if (damage.test(log) || !stream.isBetweenFrames) throw new FarmError("MEDIA_TRUNCATED", { details });
  if (noStream.test(log)) throw new FarmError("MEDIA_NO_VIDEO", { details });
  if (stream.frames === 0 && (exit.exitCode === 0 || noFrame.test(log))) throw new FarmError("MEDIA_EMPTY", { details });
  if (exit.killedBy !== null) throw new FarmError("MEDIA_NOT_DECODABLE", { message: `ffmpeg ended with ${exit.killedBy}`, details });
  if (exit.exitCode !== 0) throw new FarmError("MEDIA_NOT_DECODABLE", { message: `ffmpeg: ${lastLines(log)}`, details });
}

function tooLargeFrame(limits: MediaLimits): FarmError {
  return new FarmError("MEDIA_TOO_LARGE", { message: `a frame has more than ${limits.pixelsPerFrame} pixels` });
}

function lastLines(log: string): string {
  return log.trim().split("\n").slice(-3).join("; ");
}
