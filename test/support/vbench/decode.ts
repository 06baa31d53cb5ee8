/**
 * Clips as the farm's own reader gives them, for the metrics' golden values: what is held to VBench is what workers run.
 */
import { type ClipFacts, type ColourStream, readClip } from "../../../services/platform/media/clip-reader.ts";
import { defaultMediaLimits } from "../../../services/platform/media/limits.ts";
import type { ImageSize } from "../../../services/domain/vap/pillow-resize.ts";
import { testFfmpegPath } from "../ffmpeg.ts";

export type DecodedClip = {
  readonly size: ImageSize;
  readonly facts: ClipFacts;
  /** uint8 [H,W,3] each. */
  readonly frames: readonly Uint8Array[];
};

/** Every frame of a clip. */
export async function decodeClip(path: string, stream: ColourStream = "rgb"): Promise<DecodedClip> {
  const decoder = { ffmpegPath: await testFfmpegPath(), limits: defaultMediaLimits, signal: new AbortController().signal };
  const { facts, frames } = await readClip(path, { stream, onFrame: () => undefined }, decoder);
  return { size: { height: facts.height, width: facts.width }, facts, frames };
}
