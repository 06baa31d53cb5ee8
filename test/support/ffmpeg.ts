/**
 * The ffmpeg that tests run, and tiny clips made with it.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findFfmpeg } from "../../services/platform/programs/ffmpeg.ts";

const runFile = promisify(execFile);

/** Folder of the repository. */
export const projectRoot = fileURLToPath(new URL("../..", import.meta.url));

/** Path of ffmpeg: what VAPFARM_FFMPEG names, else the pinned build. */
export async function testFfmpegPath(): Promise<string> {
  const { VAPFARM_FFMPEG: configured, PATH: searchPath } = process.env;
  return (await findFfmpeg({ configured, searchPath, cacheFolder: `${projectRoot}.cache` })).path;
}

/** Makes a clip of ffmpeg's test picture; `output` are the arguments after the source, without the path. */
export async function makeClip(
  path: string,
  options: { readonly size?: string; readonly seconds?: number; readonly output?: readonly string[] } = {},
): Promise<string> {
  const source = `testsrc=size=${options.size ?? "64x48"}:rate=16:duration=${options.seconds ?? 2}`;
  const args = ["-v", "error", "-y", "-f", "lavfi", "-i", source, ...(options.output ?? ["-c:v", "libx264", "-pix_fmt", "yuv420p"]), path];
  await runFile(await testFfmpegPath(), args, { env: { GCONV_PATH: "/nonexistent" } });
  return path;
}

/** Runs ffmpeg with any arguments. */
export async function runTestFfmpeg(args: readonly string[]): Promise<void> {
  await runFile(await testFfmpegPath(), ["-v", "error", "-y", ...args], { env: { GCONV_PATH: "/nonexistent" } });
}
