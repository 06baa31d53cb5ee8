/**
 * One run of ffmpeg: quiet, without a terminal, its address space limited where `prlimit` exists.
 */
import { accessSync, constants } from "node:fs";
import { type MediaExit, type MediaStreams, runMediaProcess } from "./media-process.ts";

export type FfmpegRun = {
  readonly ffmpegPath: string;
  readonly args: readonly string[];
  readonly memoryBytes: number;
  readonly signal: AbortSignal;
};

const prlimitPath = "/usr/bin/prlimit";

/**
 * GCONV_PATH: a static ffmpeg would load the machine's character-set modules into another libc and crash (MPEG-TS service
 * names); an empty place leaves those names undecoded, and nothing reads them.
 */
const environment = { GCONV_PATH: "/nonexistent", LC_ALL: "C" };

/** Runs ffmpeg until `consume` returns and the process ends; a program that cannot be run is FFMPEG_MISSING. */
export function runFfmpeg(run: FfmpegRun, consume: (streams: MediaStreams) => Promise<"all" | "enough">): Promise<MediaExit> {
  const command = [run.ffmpegPath, "-hide_banner", "-nostdin", "-loglevel", "level+warning", ...run.args];
  const limit = canLimit() ? [prlimitPath, `--as=${run.memoryBytes}`, "--core=0", "--"] : [];
  const [program = "", ...args] = [...limit, ...command];
  return runMediaProcess({ program, args, environment, signal: run.signal, missing: "FFMPEG_MISSING" }, consume);
}

function canLimit(): boolean {
  try {
    accessSync(prlimitPath, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
