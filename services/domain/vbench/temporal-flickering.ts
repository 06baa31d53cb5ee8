/**
 * temporal_flickering: how little neighbouring frames differ (vbench/temporal_flickering.py; spec vbench §1.3). Frames are OpenCV's (`bt601`), the order
 * of the channels does not matter.
 *
 * Sums are of integers and so exact; VBench's float32 means are within 2e-9 of that.
 */
import type { ImageSize } from "../vap/pillow-resize.ts";
import { absent, mean, type MetricOutcome, requireFrameBytes } from "./metric.ts";

export type FlickerAccumulator = {
  /** The next frame, uint8 [H,W,3]; kept until the next one, so the caller must not write to it. */
  push(pixels: Uint8Array): void;
  finish(): MetricOutcome;
};

/** Takes a clip frame by frame, holding one of them. */
export function temporalFlickering(size: ImageSize): FlickerAccumulator {
  const differences: number[] = [];
  let last: Uint8Array | undefined;
  return {
    push: (pixels) => {
      requireFrameBytes(pixels, size);
      if (last !== undefined) differences.push(meanDifference(last, pixels));
      last = pixels;
    },
    finish: () => {
      if (last === undefined) return absent("skipped", "the clip has no frame");
      if (differences.length === 0) return absent("nan", "the clip has one frame, so no neighbours to compare; VBench writes NaN");
      return { status: "ok", value: (255 - mean(differences)) / 255, series: { differences }, extra: { pairs: differences.length } };
    },
  };
}

/** Mean of |left − right| over all bytes, 0..255. */
export function meanDifference(left: Uint8Array, right: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index += 1) sum += Math.abs((left[index] as number) - (right[index] as number));
  return sum / left.length;
}
