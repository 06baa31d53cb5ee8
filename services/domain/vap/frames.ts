/**
 * Which frames of a clip the model sees.
 *
 * `evenly` is `torch.linspace(0, length - 1, count).long()` of the reference (infer/cog_vap.py:49-52,
 * pipeline_cogvideox_image2video_mot.py:894-906), bit for bit: torch works in float32, from both ends towards the middle, so that plain
 * floor(i * (length - 1) / (count - 1)) picks another frame for some lengths (401, 801, 1553 and 1601 at 49 frames).
 */
import { FarmError } from "../errors.ts";
import type { FrameSelection } from "../render-spec.ts";

/** Indices into a clip of `available` frames, ascending, `count` of them; a clip that is too short for `first` is MEDIA_TOO_SHORT. */
export function selectFrames(selection: FrameSelection, available: number, count: number): readonly number[] {
  if (!Number.isInteger(available) || available < 1) throw new FarmError("MEDIA_EMPTY");
  switch (selection) {
    case "evenly":
      return evenly(available, count);
    case "first":
      return first(available, count);
  }
}

/** Evenly spread indices; a clip shorter than `count` repeats frames, as the reference does. */
export function evenly(length: number, count: number): readonly number[] {
  return linspace(length - 1, count).map(Math.trunc);
}

/** The first `count` indices. */
export function first(length: number, count: number): readonly number[] {
  if (length < count) {
    throw new FarmError("MEDIA_TOO_SHORT", {
      message: `the clip has ${length} frames, the first ${count} are needed`,
      details: { frames: length, needed: count },
    });
  }
  return Array.from({ length: count }, (_, index) => index);
}

/**
 * torch.linspace(0, end, count) in float32 (ATen RangeFactories kernel): a float32 step, multiples of it from the start in the first half and
 * back from the end in the second. Every operation is rounded to float32.
 */
function linspace(end: number, count: number): number[] {
  if (count === 1) return [0];
  const end32 = Math.fround(end);
  const step = Math.fround(end32 / Math.fround(count - 1));
  const half = Math.trunc(count / 2);
  return Array.from({ length: count }, (_, index) => {
    if (index < half) return Math.fround(step * index);
    return Math.fround(end32 - Math.fround(step * (count - 1 - index)));
  });
}
