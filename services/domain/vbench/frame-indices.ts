/**
 * Which frames a metric looks at: VBench's eight "middle" frames, every k-th frame of dynamic_degree, the pairs of motion_smoothness
 * (vbench/utils.py get_frame_indices, vbench/dynamic_degree.py get_frames, vbench/motion_smoothness.py; spec vbench §1.0, §1.4, §1.5).
 *
 * Frames are counted from 0 among those that were decoded, never among those that a container announces.
 */
import { FarmError } from "../errors.ts";
import { roundHalfEven } from "../vap/round-half-even.ts";

/** Frames that CLIP score and overall_consistency see. */
export const middleFrameCount = 8;

/** Frame of the middle of each of eight equal parts; a shorter clip's last index is repeated. */
export function middleFrameIndices(frameCount: number): readonly number[] {
  requireFrames(frameCount);
  const parts = Math.min(middleFrameCount, frameCount);
  const bounds = Array.from({ length: parts + 1 }, (_, part) => Math.trunc(part * (frameCount / parts)));
  return Array.from({ length: middleFrameCount }, (_, index) => {
    const part = Math.min(index, parts - 1);
    return Math.floor(((bounds[part] ?? 0) + (bounds[part + 1] ?? 0) - 1) / 2);
  });
}

/** Distance in frames between those that dynamic_degree compares; a rate that is missing (0 or not finite) gives 1. */
export function dynamicDegreeInterval(framesPerSecond: number): number {
  return Number.isFinite(framesPerSecond) && framesPerSecond > 0 ? Math.max(1, roundHalfEven(framesPerSecond / 8)) : 1;
}

/** The frames that dynamic_degree compares, each with the next. */
export function dynamicDegreeIndices(frameCount: number, framesPerSecond: number): readonly number[] {
  requireFrames(frameCount);
  const interval = dynamicDegreeInterval(framesPerSecond);
  return Array.from({ length: Math.ceil(frameCount / interval) }, (_, index) => index * interval);
}

/** How many of the pairs among `frameCount` compared frames must move for the clip to be dynamic; ties to even, as Python rounds. */
export function dynamicDegreeCount(frameCount: number): number {
  return roundHalfEven(4 * (frameCount / 16));
}

/** The frame at `between` is predicted from its two neighbours. */
export type MotionTriple = { readonly before: number; readonly between: number; readonly after: number };

/** Every odd frame with an even one on both sides: of an even number of frames, the last is never compared; fewer than 3 frames give none. */
export function motionTriples(frameCount: number): readonly MotionTriple[] {
  requireFrames(frameCount);
  const count = Math.max(0, Math.ceil(frameCount / 2) - 1);
  return Array.from({ length: count }, (_, index) => ({ before: 2 * index, between: 2 * index + 1, after: 2 * index + 2 }));
}

function requireFrames(frameCount: number): void {
  if (Number.isSafeInteger(frameCount) && frameCount > 0) return;
  throw new FarmError("STAGE_INPUT_INVALID", { message: `a clip of ${frameCount} frames has none to choose from` });
}
