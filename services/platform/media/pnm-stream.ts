/**
 * Frames out of a stream of concatenated binary PGM or PPM images, as ffmpeg's image2pipe writes them.
 *
 * PNM instead of raw video because every frame then says its own size: nothing is guessed from a log, and a clip that changes
 * its size midway stays readable. Only frames that are wanted are copied.
 */
import { FarmError } from "../../domain/errors.ts";

export type FrameHeader = { readonly index: number; readonly width: number; readonly height: number };

export type PnmConsumer = {
  /** Called for every frame before its pixels; false skips them. May throw to refuse the stream. */
  wants(header: FrameHeader): boolean;
  /** Called for each wanted frame; the array is the callee's to keep. */
  take(header: FrameHeader, pixels: Uint8Array): void;
};

const headerPattern = /^P([56])\n(\d+) (\d+)\n255\n/;
const longestHeader = 64;

/** Fed with chunks of any size, calls the consumer frame by frame. */
export class PnmStream {
  readonly #consumer: PnmConsumer;
  #header = "";
  #frame: FrameHeader | undefined;
  #pixels: Uint8Array | undefined;
  #filled = 0;
  #frameBytes = 0;
  #frames = 0;

  constructor(consumer: PnmConsumer) {
    this.#consumer = consumer;
  }

  /** Frames that are complete so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Whether the stream ends between two frames. */
  get isBetweenFrames(): boolean {
    return this.#frame === undefined && this.#header === "";
  }

  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) offset += this.#frame === undefined ? this.#readHeader(chunk, offset) : this.#readPixels(chunk, offset);
  }

  #readHeader(chunk: Uint8Array, offset: number): number {
    const before = this.#header.length;
    const text = this.#header + String.fromCharCode(...chunk.subarray(offset, offset + longestHeader - before));
    const match = headerPattern.exec(text);
    if (match === null) {
      if (text.length >= longestHeader) throw new FarmError("INTERNAL", { message: "ffmpeg's output is no PNM stream" });
      this.#header = text;
      return text.length - before;
    }
    this.#begin(match);
    return match[0].length - before;
  }

  #begin(match: RegExpExecArray): void {
    const header = { index: this.#frames, width: Number(match[2]), height: Number(match[3]) };
    this.#header = "";
    this.#frame = header;
    this.#filled = 0;
    this.#frameBytes = header.width * header.height * (match[1] === "6" ? 3 : 1);
    this.#pixels = this.#consumer.wants(header) ? new Uint8Array(this.#frameBytes) : undefined;
  }

  #readPixels(chunk: Uint8Array, offset: number): number {
    const count = Math.min(this.#frameBytes - this.#filled, chunk.length - offset);
    this.#pixels?.set(chunk.subarray(offset, offset + count), this.#filled);
    this.#filled += count;
    if (this.#filled === this.#frameBytes) this.#end();
    return count;
  }

  #end(): void {
    const [header, pixels] = [this.#frame, this.#pixels];
    this.#frame = undefined;
    this.#pixels = undefined;
    this.#frames += 1;
    if (header !== undefined && pixels !== undefined) this.#consumer.take(header, pixels);
  }
}
