/**
 * Media files → what they are, and frames of the model's size.
 *
 * Owns the order of checks: size in bytes, format by first bytes, container, then a full decode under limits. Nothing is
 * decoded that was not recognised, and a file is never taken for sound before it was decoded once.
 */
import { type FileHandle, open } from "node:fs/promises";
import { FarmError } from "../../domain/errors.ts";
import type { FrameSelection } from "../../domain/render-spec.ts";
import { uint8, type Uint8Tensor } from "../../domain/tensors/tensor.ts";
import { selectFrames } from "../../domain/vap/frames.ts";
import { createFrameResizer, type FrameResize } from "../../domain/vap/frame-resize.ts";
import type { ImageResizer, ImageSize } from "../../domain/vap/pillow-resize.ts";
import { walkBoxes } from "./box-walk.ts";
import { readImage } from "./image.ts";
import { inTime } from "./in-time.ts";
import type { MediaLimits } from "./limits.ts";
import { type MediaFormat, sniffBytes, sniffFormat } from "./media-format.ts";
import { readVideo, scanVideo, type VideoDecoder } from "./video.ts";

export type MediaInfo = {
  readonly kind: "image" | "video";
  readonly width: number;
  readonly height: number;
  /** 1 for an image. */
  readonly frames: number;
  readonly mediaType: string;
};

export type FrameRequest = {
  readonly selection: FrameSelection;
  readonly count: number;
  readonly resize: FrameResize;
  readonly signal: AbortSignal;
  /** Called after each frame that is ready. */
  readonly onFrame?: (done: number) => void;
};

export type MediaReader = {
  /** Decodes everything once; throws the FarmError that says what is wrong with the file. */
  inspect(path: string, signal: AbortSignal): Promise<MediaInfo>;
  /** The chosen frames resized: uint8 [count,height,width,3]. An image is a clip of one frame. */
  decodeFrames(path: string, request: FrameRequest): Promise<Uint8Tensor>;
};

/** Builds a reader over one ffmpeg and one set of limits; it keeps no state between calls. */
export function createMediaReader(options: { readonly ffmpegPath: string; readonly limits: MediaLimits }): MediaReader {
  return {
    inspect: (path, signal) => inTime(options.limits, signal, (limited) => inspect(path, { ...options, signal: limited })),
    decodeFrames: (path, request) =>
      inTime(options.limits, request.signal, (signal) => decodeFrames(path, request, { ...options, signal })),
  };
}

async function inspect(path: string, decoder: VideoDecoder): Promise<MediaInfo> {
  const format = await identifyMedia(path, decoder.limits);
  const { mediaType } = format;
  if (format.kind === "image") {
    const { width, height } = await sizeOfImage(path, decoder);
    return { kind: "image", width, height, frames: 1, mediaType };
  }
  return { kind: "video", ...(await scanVideo({ path, demuxer: format.demuxer }, decoder)), mediaType };
}

async function sizeOfImage(path: string, decoder: VideoDecoder): Promise<ImageSize> {
  let size: ImageSize = { width: 0, height: 0 };
  const wants = (header: ImageSize): boolean => {
    size = header;
    return false;
  };
  await readImage(path, decoder, { wants, take: () => undefined });
  return size;
}

/** The format of a file that is worth decoding; throws the FarmError that says why it is not. */
export async function identifyMedia(path: string, limits: MediaLimits): Promise<MediaFormat> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new FarmError("ARTIFACT_MISSING", { message: "the media file cannot be opened", cause });
  });
  try {
    return await identifyOpen(file, limits);
  } finally {
    await file.close();
  }
}

async function identifyOpen(file: FileHandle, limits: MediaLimits): Promise<MediaFormat> {
  const { size } = await file.stat();
  if (size === 0) throw new FarmError("MEDIA_EMPTY", { message: "the file is empty" });
  if (size > limits.bytes) throw new FarmError("MEDIA_TOO_LARGE", { message: `the file has ${size} bytes, ${limits.bytes} are allowed` });
  const { buffer, bytesRead } = await file.read(Buffer.alloc(sniffBytes), 0, sniffBytes, 0);
  const format = sniffFormat(buffer.subarray(0, bytesRead));
  if (format === undefined) throw new FarmError("MEDIA_NOT_DECODABLE", { message: "the file is in no accepted image or video format" });
  if (format.kind === "audio") throw new FarmError("MEDIA_NO_VIDEO");
  if (format.demuxer === "mov" && (await walkBoxes(file, size)) !== "whole") {
    throw new FarmError("MEDIA_TRUNCATED", { message: "the file ends before its last part, or its index is missing" });
  }
  return format;
}

async function decodeFrames(path: string, request: FrameRequest, decoder: VideoDecoder): Promise<Uint8Tensor> {
  const format = await identifyMedia(path, decoder.limits);
  const sink = new FrameSink(request);
  if (format.kind === "image") {
    sink.place(selectFrames(request.selection, 1, request.count));
    await readImage(path, decoder, sink);
    return sink.frames();
  }
  const source = { path, demuxer: format.demuxer };
  const { frames } = await scanVideo(source, decoder);
  sink.place(selectFrames(request.selection, frames, request.count));
  await readVideo(source, decoder, sink);
  return sink.frames();
}

type SizedIndex = ImageSize & { readonly index: number };

/** Collects chosen frames, resized, each at every place that asks for it. */
class FrameSink {
  readonly #request: FrameRequest;
  readonly #bytes: Uint8Array;
  readonly #frameBytes: number;
  #chosen: readonly number[] = [];
  #resizer: { readonly from: ImageSize; readonly resize: ImageResizer } | undefined;
  #done = 0;

  constructor(request: FrameRequest) {
    this.#request = request;
    this.#frameBytes = request.resize.height * request.resize.width * 3;
    this.#bytes = new Uint8Array(this.#frameBytes * request.count);
  }

  /** Sets which source frame goes to which place. */
  place(chosen: readonly number[]): void {
    this.#chosen = chosen;
  }

  get last(): number {
    return Math.max(...this.#chosen);
  }

  readonly wants = ({ index }: SizedIndex): boolean => this.#chosen.includes(index);

  readonly take = (frame: SizedIndex, pixels: Uint8Array): void => {
    const resized = this.#resizerFor(frame)(pixels);
    this.#chosen.forEach((index, place) => {
      if (index !== frame.index) return;
      this.#bytes.set(resized, place * this.#frameBytes);
      this.#done += 1;
      this.#request.onFrame?.(this.#done);
    });
  };

  frames(): Uint8Tensor {
    const { count, resize } = this.#request;
    return uint8([count, resize.height, resize.width, 3], this.#bytes);
  }

  #resizerFor(from: ImageSize): ImageResizer {
    const known = this.#resizer;
    if (known?.from.width === from.width && known.from.height === from.height) return known.resize;
    const resize = createFrameResizer(from, this.#request.resize);
    this.#resizer = { from, resize };
    return resize;
  }
}
