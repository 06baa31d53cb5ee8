/**
 * Whole clips as VBench's two readers see them: every frame that the file holds, none repeated or dropped (spec vbench §1.0).
 *
 * decord converts colours as the file's tags say; OpenCV ignores the colour matrix and range (`bt601`). Without tags both are the same frames.
 * The frame rate is the container's, exactly, as ffmpeg guesses it for OpenCV too. Frames are counted by decoding them: what a container announces
 * is not what it holds.
 */
import { FarmError } from "../../domain/errors.ts";
import { runFfmpeg } from "./ffmpeg-process.ts";
import { inTime } from "./in-time.ts";
import { identifyMedia } from "./media-reader.ts";
import { decodePass, inputArgs, type VideoDecoder, type VideoSource } from "./video.ts";

/** Whose colours. */
export type ColourStream = "rgb" | "bt601";

/** What is known of a clip besides its frames. */
export type ClipFacts = {
  readonly width: number;
  readonly height: number;
  readonly frameCount: number;
  /** Frames per second as a fraction; 0/1 where the file tells none. */
  readonly fps: { readonly numerator: number; readonly denominator: number };
  /** The file tags its colours, so that the two streams differ. */
  readonly isTagged: boolean;
  readonly isGif: boolean;
};

/** Frames are uint8 RGB [height,width,3] each, all of one size. */
export type Clip = { readonly facts: ClipFacts; readonly frames: readonly Uint8Array[] };

type Probe = Pick<ClipFacts, "fps" | "isTagged">;

/** Most that the frames of one clip may take. */
const mostClipBytes = 6 * 1024 ** 3;
const tags = /Video: .*?, \w+\((?<tags>[^)]*)\)/;
/** What stands in the same brackets and is no colour. */
const noColours = /^(progressive|top first|bottom first|top coded first.*|bottom coded first.*|unknown.*)$/;
const y4mRate = /^YUV4MPEG2 .*?\bF(?<numerator>\d+):(?<denominator>\d+)/;

type ClipAsk = { readonly stream: ColourStream; readonly onFrame: (frames: number) => void };

/** Decodes every frame, within the limits; the FarmError says what is wrong with the file. `onFrame` is told how many there are so far. */
export function readClip(path: string, ask: ClipAsk, decoder: VideoDecoder): Promise<Clip> {
  return inTime(decoder.limits, decoder.signal, (signal) => decodeClip(path, ask, { ...decoder, signal }));
}

async function decodeClip(path: string, { stream, onFrame }: ClipAsk, decoder: VideoDecoder): Promise<Clip> {
  const format = await identifyMedia(path, decoder.limits);
  if (format.kind !== "video") throw new FarmError("MEDIA_NO_VIDEO", { message: "the file is a picture, not a clip" });
  const source = { path, demuxer: format.demuxer };
  const probe = await probeClip(source, decoder);
  const collected = await collectFrames(source, decoder, { stream: probe.isTagged ? stream : "rgb", onFrame });
  const { frames, ...size } = collected;
  return { facts: { ...size, frameCount: frames.length, ...probe, isGif: format.demuxer === "gif" }, frames };
}

async function collectFrames(source: VideoSource, decoder: VideoDecoder, { stream, onFrame }: ClipAsk) {
  const frames: Uint8Array[] = [];
  let size: { readonly width: number; readonly height: number } | undefined;
  await decodePass(
    { source, decoder, output: outputOf(stream), isEnough: () => false },
    {
      wants({ index, width, height }) {
        size ??= { width, height };
        if (width !== size.width || height !== size.height)
          throw new FarmError("MEDIA_NOT_DECODABLE", { message: "the clip changes its size" });
        if ((index + 1) * width * height * 3 > mostClipBytes) {
          throw new FarmError("MEDIA_TOO_LARGE", { message: `the frames of the clip take more than ${mostClipBytes / 1024 ** 3} GiB` });
        }
        return true;
      },
      take: (_header, pixels) => {
        frames.push(pixels);
        onFrame(frames.length);
      },
    },
  );
  if (size === undefined) throw new FarmError("MEDIA_EMPTY");
  return { ...size, frames };
}

/** Every decoded frame once; `bt601` forgets the tags before the conversion. */
function outputOf(stream: ColourStream): readonly string[] {
  const forget = stream === "bt601" ? ["-vf", "setparams=colorspace=unknown:range=unknown,scale"] : [];
  return ["-map", "0:v:0", "-fps_mode", "passthrough", ...forget, "-pix_fmt", "rgb24", "-vcodec", "ppm"];
}

/** The rate out of a stream format that spells it as a fraction, the tags out of the log. */
async function probeClip(source: VideoSource, decoder: VideoDecoder): Promise<Probe> {
  const input = ["-loglevel", "level+info", ...inputArgs(source, decoder)];
  const output = ["-map", "0:v:0", "-fps_mode", "passthrough", "-frames:v", "1", "-vf", "scale=16:16", "-pix_fmt", "yuv420p"];
  let head = "";
  const run = { ...decoder, args: [...input, ...output, "-f", "yuv4mpegpipe", "-"], memoryBytes: decoder.limits.memoryBytes };
  const { log } = await runFfmpeg(run, async ({ stdin, stdout }) => {
    stdin.end();
    for await (const chunk of stdout) head = (head + (chunk as Buffer).toString("latin1")).slice(0, 256);
    return "all";
  });
  const rate = y4mRate.exec(head)?.groups;
  const fps = { numerator: Number(rate?.["numerator"] ?? 0), denominator: Number(rate?.["denominator"] ?? 1) };
  const stated =
    tags
      .exec(log)
      ?.groups?.["tags"]?.split(",")
      .map((tag) => tag.trim()) ?? [];
  return { fps, isTagged: stated.some((tag) => !noColours.test(tag)) };
}
