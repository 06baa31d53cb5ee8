/**
 * motion_smoothness: how near AMT-S's guess from its neighbours each odd frame is (vbench/motion_smoothness.py; spec vbench §1.4). Frames are OpenCV's
 * (`bt601`). Which frames are paired: `motionTriples`.
 *
 * VBench scales frames down on small GPUs only when it is called with the text "cuda" as its device; its own command never does, nor does this.
 */
import type { ImageSize } from "../vap/pillow-resize.ts";
import { absent, firstNotFinite, mean, type MetricOutcome, requireFrameBytes } from "./metric.ts";
import { interpolatedBytes } from "./padding.ts";

export type MotionAccumulator = {
  /** AMT's answer, float32 [3,H',W'] with padding, and the frame between, uint8 [H,W,3]; neither is kept. */
  push(prediction: Float32Array, between: Uint8Array): void;
  finish(frameCount: number): MetricOutcome;
};

/** Takes the pairs of a clip in order. */
export function motionSmoothness(size: ImageSize): MotionAccumulator {
  const differences: number[] = [];
  let fault: string | undefined;
  return {
    push: (prediction, between) => {
      requireFrameBytes(between, size);
      const index = firstNotFinite(prediction);
      if (index >= 0) fault ??= `value ${index} of the prediction of frame ${2 * differences.length + 1} is no finite number`;
      differences.push(meanDifference(interpolatedBytes(prediction, size), between));
    },
    finish: (frameCount) => {
      if (frameCount < 3)
        return absent("skipped", `the clip has ${frameCount} frames, at least 3 are needed; VBench ends with AssertionError`);
      if (fault !== undefined) return absent("nan", fault);
      return { status: "ok", value: (255 - mean(differences)) / 255, series: { differences }, extra: { pairs: differences.length } };
    },
  };
}

/** Mean of |left − right| over all bytes, 0..255, exact: VBench takes this one in float64. */
function meanDifference(left: Uint8Array, right: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index += 1) sum += Math.abs((left[index] as number) - (right[index] as number));
  return sum / left.length;
}
