/**
 * What decoding one media file may cost. Every limit is enforced on what the file really does, not on what its header says.
 */
export type MediaLimits = {
  readonly bytes: number;
  readonly pixelsPerFrame: number;
  readonly frames: number;
  /** Wall-clock time of one call, all passes together. */
  readonly decodeMs: number;
  /** Address space of the ffmpeg process, where the system can limit it. */
  readonly memoryBytes: number;
};

/** For people's clips and photographs: 40 megapixels, a few minutes of video. */
export const defaultMediaLimits: MediaLimits = {
  bytes: 1024 ** 3,
  pixelsPerFrame: 40_000_000,
  frames: 20_000,
  decodeMs: 120_000,
  memoryBytes: 4 * 1024 ** 3,
};
