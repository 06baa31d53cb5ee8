/**
 * What decoding one media file may cost, and the settings that say so, under one set of names for every service that decodes.
 *
 * Every limit is enforced on what the file really does, not on what its header says.
 */
import { positiveInteger } from "../config.ts";

export type MediaLimits = {
  readonly bytes: number;
  readonly pixelsPerFrame: number;
  readonly frames: number;
  /** Wall-clock time of one call, all passes together. */
  readonly decodeMs: number;
  /** Address space of the decoding process, where the system can limit it. */
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

/** The settings `VAPFARM_MEDIA_*`, to be spread into a service's schema. */
export const mediaSettings = {
  VAPFARM_MEDIA_MAX_BYTES: positiveInteger.default(defaultMediaLimits.bytes),
  VAPFARM_MEDIA_MAX_PIXELS: positiveInteger.default(defaultMediaLimits.pixelsPerFrame),
  VAPFARM_MEDIA_MAX_FRAMES: positiveInteger.default(defaultMediaLimits.frames),
  VAPFARM_MEDIA_TIMEOUT_MS: positiveInteger.default(defaultMediaLimits.decodeMs),
  VAPFARM_MEDIA_MEMORY_BYTES: positiveInteger.default(defaultMediaLimits.memoryBytes),
};

/** The limits that a service's settings say. */
export function mediaLimitsOf(settings: { readonly [Name in keyof typeof mediaSettings]: number }): MediaLimits {
  return {
    bytes: settings.VAPFARM_MEDIA_MAX_BYTES,
    pixelsPerFrame: settings.VAPFARM_MEDIA_MAX_PIXELS,
    frames: settings.VAPFARM_MEDIA_MAX_FRAMES,
    decodeMs: settings.VAPFARM_MEDIA_TIMEOUT_MS,
    memoryBytes: settings.VAPFARM_MEDIA_MEMORY_BYTES,
  };
}
