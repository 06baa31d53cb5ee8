/**
 * temporal_flickering: how little neighbouring frames differ (vbench/temporal_flickering.py; spec vbench §1.3). Frames are OpenCV's (`bt601`).
 *
 * Means are numpy's of float32, so that a value is VBench's to the last bit: on noise exact means are more than 1e-8 away.
 */
import type { ImageSize } from "../vap/pillow-resize.ts";
import { float32Mean } from "./float32-mean.ts";
import { absent, type MetricOutcome, requireFrameBytes } from "./metric.ts";

const channels = 3;

export type FlickerAccumulator = {
  /** The next frame, uint8 [H,W,3]; kept until the next one, so the caller must not write to it. */
  push(pixels: Uint8Array): void;
  finish(): MetricOutcome;
};

/** Takes a clip frame by frame, holding one of them. */
export function temporalFlickering(size: ImageSize): FlickerAccumulator {
  const differences: number[] = [];
  const levels = new Float32Array(size.height * size.width * channels);
  let last: Uint8Array | undefined;
  return {
    push: (pixels) => {
      requireFrameBytes(pixels, size);
      if (last !== undefined) differences.push(float32Difference(last, pixels, levels));
      last = pixels;
    },
    finish: () => {
      if (last === undefined) return absent("skipped", "the clip has no frame");
      if (differences.length === 0) return absent("nan", "the clip has one frame, so no neighbours to compare; VBench writes NaN");
      return {
        status: "ok",
        value: (255 - float32Mean(Float32Array.from(differences))) / 255,
        series: { differences },
        extra: { pairs: differences.length },
      };
    },
  };
}

/** The mean as VBench takes it: in float32, over channels in OpenCV's order. `levels` is written to. */
function float32Difference(left: Uint8Array, right: Uint8Array, levels: Float32Array): number {
  for (let pixel = 0; pixel < levels.length; pixel += channels) {
    for (let channel = 0; channel < channels; channel += 1) {
      const read = pixel + channels - 1 - channel;
      levels[pixel + channel] = Math.abs((left[read] as number) - (right[read] as number));
    }
  }
  return float32Mean(levels);
}
