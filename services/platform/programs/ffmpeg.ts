/**
 * Which ffmpeg the farm runs.
 *
 * Order: the configured path, the pinned wheel, PATH (5.1 or newer). The wheel goes first because every machine of a farm then
 * decodes with the same build; it is the build that the reference decodes with. Debian's 5.1 was measured to give the same
 * pixels on the golden clip, so PATH is an honest second.
 */
import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { FarmError } from "../../domain/errors.ts";
import { binaryFromWheel, isExecutable, type WheelProgram } from "./wheel.ts";

export type Ffmpeg = {
  readonly path: string;
  /** As ffmpeg prints it, e.g. `7.0.2-static`. */
  readonly version: string;
  readonly source: "configured" | "wheel" | "path";
};

export type FindFfmpegOptions = {
  /** Path from the caller's configuration; when set, nothing else is tried. */
  readonly configured: string | undefined;
  readonly cacheFolder: string;
  /** PATH to search, from the caller's configuration. */
  readonly searchPath: string | undefined;
};

/** PyPI imageio-ffmpeg 0.6.0: a static ffmpeg 7.0.2, nothing else of the package is used. */
export const ffmpegWheel: WheelProgram = {
  package: "imageio-ffmpeg",
  version: "0.6.0",
  builds: {
    "linux-x64": {
      sha256: "c7e46fcec401dd990405049d2e2f475e2b397779df2519b544b8aab515195282",
      member: "imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v7.0.2",
    },
    "linux-arm64": {
      sha256: "1d47bebd83d2c5fc770720d211855f208af8a596c82d17730aa51e815cdee6dc",
      member: "imageio_ffmpeg/binaries/ffmpeg-linux-aarch64-v7.0.2",
    },
  },
};

const oldestMajor = 5;
const versionTimeoutMs = 10_000;
const runFile = promisify(execFile);

/** Finds ffmpeg or throws FFMPEG_MISSING saying what was tried. */
export async function findFfmpeg(options: FindFfmpegOptions): Promise<Ffmpeg> {
  if (options.configured !== undefined) return probe(options.configured, "configured");
  const tried: string[] = [];
  try {
    return await probe(await binaryFromWheel(ffmpegWheel, options), "wheel");
  } catch (thrown) {
    tried.push(thrown instanceof Error ? thrown.message : String(thrown));
  }
  for (const path of await onPath(options.searchPath ?? "")) {
    try {
      return await probe(path, "path");
    } catch (thrown) {
      tried.push(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }
  throw new FarmError("FFMPEG_MISSING", { message: `no usable ffmpeg; tried: ${tried.join("; ")}; nothing more on PATH` });
}

async function onPath(searchPath: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of searchPath.split(delimiter).filter((part) => part !== "")) {
    const path = join(folder, "ffmpeg");
    if (await isExecutable(path)) found.push(path);
  }
  return found;
}

async function probe(path: string, source: Ffmpeg["source"]): Promise<Ffmpeg> {
  const version = parseFfmpegVersion(await versionText(path));
  if (version === undefined) throw new FarmError("FFMPEG_MISSING", { message: `${path} does not answer as ffmpeg` });
  const major = Number.parseInt(version.replace(/^n/, ""), 10);
  // Builds of the development branch have no number; they are newer than any release.
  if (Number.isFinite(major) && major < oldestMajor) {
    throw new FarmError("FFMPEG_MISSING", { message: `${path} is ffmpeg ${version}, ${oldestMajor}.1 or newer is needed` });
  }
  return { path, version, source };
}

async function versionText(path: string): Promise<string> {
  try {
    return (await runFile(path, ["-hide_banner", "-version"], { timeout: versionTimeoutMs })).stdout;
  } catch (cause) {
    throw new FarmError("FFMPEG_MISSING", { message: `${path} cannot be run`, cause });
  }
}

/** The version in `ffmpeg -version`'s first line. */
export function parseFfmpegVersion(text: string): string | undefined {
  return /^ffmpeg version (\S+)/.exec(text)?.[1];
}
