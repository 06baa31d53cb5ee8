/**
 * Puts together what an image holds of this project: `node tools/images/assemble.ts FOLDER`, in a clone after `npm ci` and generate.sh.
 *
 * Copied is what the programs load and nothing else: their files, the packages that those import, with what these need by the lockfile, for
 * this platform; Node, and ffmpeg by its checksum as `bin/`.
 */
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, readFile, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FarmError } from "../../services/domain/errors.ts";
import { findFfmpeg } from "../../services/platform/programs/ffmpeg.ts";
import { walkImports } from "./imports.ts";
import { foldersOf, parseLock } from "./packages.ts";
import { entries, leftOut, nodePackage, projectFiles } from "./programs.ts";

const root = join(import.meta.dirname, "../..");
const [out = ""] = process.argv.slice(2);
await rm(out, { recursive: true, force: true });

const { files, packages } = await walkImports(root, entries);
for (const file of [...files, ...projectFiles]) await copy(file);

const lock = parseLock(await readFile(join(root, "package-lock.json"), "utf8"));
const names = [...packages.keys(), nodePackage].filter((name) => !leftOut.some((other) => other === name));
const platform = { os: process.platform, cpu: process.arch, libc: "glibc" };
for (const folder of foldersOf(lock, names, platform)) await copyPackage(folder);
await trim();
await addPrograms();

async function copy(path: string): Promise<void> {
  await mkdir(dirname(join(out, path)), { recursive: true });
  await cp(join(root, path), join(out, path), { recursive: true, verbatimSymlinks: true });
}

/** Without the packages inside it: those that are needed come by themselves. npm may leave an optional one out and say nothing. */
async function copyPackage(folder: string): Promise<void> {
  const from = join(root, folder);
  if (!existsSync(from)) throw new FarmError("CONFIG_INVALID", { message: `${folder} is not installed, although it is for this platform` });
  await cp(from, join(out, folder), { recursive: true, filter: (path) => !path.slice(from.length).includes("/node_modules") });
}

/** Binaries of other platforms, headers and handbooks. */
async function trim(): Promise<void> {
  const onnxruntime = join(out, "node_modules/onnxruntime-node/bin/napi-v6");
  const others = ["darwin", "win32", `linux/${process.arch === "x64" ? "arm64" : "x64"}`].map((name) => join(onnxruntime, name));
  const node = ["include", "share", "CHANGELOG.md"].map((name) => join(out, "node_modules", nodePackage, name));
  for (const path of [...others, ...node]) await rm(path, { recursive: true, force: true });
}

async function addPrograms(): Promise<void> {
  const bin = join(out, "bin");
  await mkdir(bin, { recursive: true });
  await symlink(`../node_modules/${nodePackage}/bin/node`, join(bin, "node"));
  await mkdir(join(out, "node_modules/.bin"), { recursive: true });
  await symlink(`../${nodePackage}/bin/node`, join(out, "node_modules/.bin/node"));
  const { path } = await findFfmpeg({ configured: undefined, cacheFolder: join(root, ".cache"), searchPath: undefined });
  await cp(path, join(bin, "ffmpeg"));
  await chmod(join(bin, "ffmpeg"), 0o755);
}
