/**
 * A still image as the reference reads it: PIL's `Image.open(path).convert("RGB")`.
 *
 * So: no colour management (an embedded profile is ignored), no rotation by EXIF, alpha dropped instead of blended, grey spread over three
 * channels, the first frame of an animation. libvips decodes JPEG with the same transform and chroma upsampling as PIL; measured equal
 * to the last bit on the golden images. Not equal: CMYK JPEG and 16-bit PNG, which PIL converts in ways of its own.
 */
import sharp from "sharp";
import { FarmError } from "../../domain/errors.ts";
import type { MediaLimits } from "./limits.ts";

export type RgbImage = {
  readonly width: number;
  readonly height: number;
  /** uint8 [height,width,3]. */
  readonly pixels: Uint8Array;
};

const channels = 3;

/** Decodes an image whose format was sniffed before. Damage is MEDIA_TRUNCATED. */
export async function readImage(path: string, limits: MediaLimits): Promise<RgbImage> {
  const { data, info } = await decode(path, limits).catch((thrown: unknown) => {
    throw imageError(thrown, limits);
  });
  const { width, height } = info;
  return { width, height, pixels: toRgb(data, { count: width * height, from: info.channels }) };
}

function decode(path: string, limits: MediaLimits) {
  const seconds = Math.max(1, Math.ceil(limits.decodeMs / 1000));
  const options = { ignoreIcc: true, autoOrient: false, failOn: "error", limitInputPixels: limits.pixelsPerFrame } as const;
  return sharp(path, options)
    .timeout({ seconds })
    .removeAlpha()
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
}

/** Grey has one channel after alpha is gone. */
function toRgb(data: Buffer, layout: { readonly count: number; readonly from: number }): Uint8Array {
  if (layout.from === channels) return data;
  const rgb = new Uint8Array(layout.count * channels);
  for (let index = 0; index < rgb.length; index += 1) rgb[index] = data[Math.trunc(index / channels) * layout.from] ?? 0;
  return rgb;
}

function imageError(thrown: unknown, limits: MediaLimits): FarmError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  if (/pixel limit/i.test(reason)) {
    return new FarmError("MEDIA_TOO_LARGE", { message: `the image has more than ${limits.pixelsPerFrame} pixels`, cause: thrown });
  }
  if (/timeout/i.test(reason)) return new FarmError("MEDIA_TIMEOUT", { cause: thrown });
  return new FarmError("MEDIA_TRUNCATED", { message: `the image is damaged: ${reason}`, cause: thrown });
}
