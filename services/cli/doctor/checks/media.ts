/**
 * ffmpeg: found, new enough, and able to decode the demo clip.
 */
import { join } from "node:path";
import { toFarmError } from "../../../domain/errors.ts";
import { defaultMediaLimits } from "../../../platform/media/limits.ts";
import { createMediaReader } from "../../../platform/media/media-reader.ts";
import { type Ffmpeg, findFfmpeg } from "../../../platform/programs/ffmpeg.ts";
import { type Check, fail, ok, type Verdict, warn } from "../verdict.ts";

/** Which ffmpeg there is, and what it could decode. */
export type MediaFindings = {
  readonly ffmpeg: Ffmpeg | { readonly reason: string };
  /** Of decoding the demo clip; undefined when there was no ffmpeg to do it. */
  readonly clip: { readonly frames: number } | { readonly reason: string } | undefined;
};

/** Pure. */
export function judgeMedia({ ffmpeg, clip }: MediaFindings): readonly Verdict[] {
  if ("reason" in ffmpeg) {
    return [fail("ffmpeg", ffmpeg.reason, "install ffmpeg 5.1 or newer, or set VAPFARM_FFMPEG to its path")];
  }
  const found = `${ffmpeg.version} at ${ffmpeg.path} (${ffmpeg.source})`;
  const isPinned = ffmpeg.source !== "path";
  const other = "let every machine of a farm use the same build: set VAPFARM_FFMPEG, or let the pinned one be fetched";
  const program = isPinned ? ok("ffmpeg", found) : warn("ffmpeg", `${found}, not the pinned build`, other);
  if (clip === undefined) return [program];
  if ("reason" in clip) return [program, fail("decoding", `the demo clip: ${clip.reason}`, "use the pinned ffmpeg: unset VAPFARM_FFMPEG")];
  return [program, ok("decoding", `the demo clip has ${clip.frames} frames`)];
}

/** Decodes a clip of the demo. */
export const mediaCheck: Check = {
  name: "ffmpeg",
  async run({ context: { environment, projectFolder, interrupts }, cacheFolder }) {
    const configured = environment["VAPFARM_FFMPEG"] === "" ? undefined : environment["VAPFARM_FFMPEG"];
    const reason = (thrown: unknown) => ({ reason: toFarmError(thrown).message });
    const ffmpeg = await findFfmpeg({ configured, cacheFolder, searchPath: environment["PATH"] }).catch(reason);
    if ("reason" in ffmpeg) return judgeMedia({ ffmpeg, clip: undefined });
    const reader = createMediaReader({ ffmpegPath: ffmpeg.path, limits: defaultMediaLimits });
    const clip = await reader.inspect(join(projectFolder, "demo/clip.mp4"), interrupts.signal).catch(reason);
    return judgeMedia({ ffmpeg, clip });
  },
};
