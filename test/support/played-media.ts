/**
 * Media that need no decoder: a file that begins with `IMAGE` or `CLIP <frames>` is what it says, one that begins with
 * `HUGE` has too many pixels, all else is no media.
 */
import { readFile } from "node:fs/promises";
import type { MediaFacts } from "../../services/coordinator/rpc/store-media.ts";
import { FarmError } from "../../services/domain/errors.ts";

/** What the file says that it is. */
export async function inspectPlayed(path: string): Promise<MediaFacts> {
  const text = (await readFile(path)).subarray(0, 64).toString("latin1");
  if (text.startsWith("IMAGE")) return { kind: "image", width: 64, height: 48, frames: 1, mediaType: "image/png" };
  if (text.startsWith("HUGE")) throw new FarmError("MEDIA_TOO_LARGE");
  const frames = /^CLIP (\d+)/.exec(text)?.[1];
  if (frames === undefined) throw new FarmError("MEDIA_NOT_DECODABLE");
  return { kind: "video", width: 64, height: 48, frames: Number(frames), mediaType: "video/mp4" };
}
