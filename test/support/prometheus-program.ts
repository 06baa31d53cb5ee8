/**
 * A real Prometheus and promtool for tests: VAPFARM_PROMETHEUS (its path, promtool beside it), else those on PATH, else Debian's package, pinned
 * by SHA-256 and unpacked without root into .cache. Used by tests only.
 *
 * The package's programs need a C library and nothing else; unpacking needs `tar` with xz.
 */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { FarmError } from "../../services/domain/errors.ts";
import { sha256Of } from "./farm-calls.ts";
import { projectRoot } from "./ffmpeg.ts";

export type PrometheusPrograms = { readonly prometheus: string; readonly promtool: string };

const run = promisify(execFile);
const version = "2.42.0+ds-5+deb12u1";
const packages: Readonly<Record<string, { readonly architecture: string; readonly sha256: string } | undefined>> = {
  x64: { architecture: "amd64", sha256: "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55" },
  arm64: { architecture: "arm64", sha256: "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9" },
};
const pool = "http://deb.debian.org/debian/pool/main/p/prometheus";
const kept = join(projectRoot, ".cache", `prometheus-${version}`);
const downloadMs = 120_000;

/** Paths of both programs; DOWNLOAD_FAILED says why there are none. */
export async function findPrometheus(): Promise<PrometheusPrograms> {
  const named = process.env["VAPFARM_PROMETHEUS"];
  if (named !== undefined && named !== "") return programsIn(dirname(named));
  for (const folder of [kept, ...(process.env["PATH"] ?? "").split(delimiter)]) {
    const programs = programsIn(folder);
    if ((await exists(programs.prometheus)) && (await exists(programs.promtool))) return programs;
  }
  await fetchPackage();
  return programsIn(kept);
}

function programsIn(folder: string): PrometheusPrograms {
  return { prometheus: join(folder, "prometheus"), promtool: join(folder, "promtool") };
}

/** Whole or not at all: two test files may fetch at a time, and the later one replaces equal files by equal files. */
async function fetchPackage(): Promise<void> {
  const wanted = packages[process.arch];
  if (wanted === undefined) {
    throw new FarmError("DOWNLOAD_FAILED", {
      message: `no Prometheus is pinned for ${process.arch}: name one with VAPFARM_PROMETHEUS`,
    });
  }
  const url = `${pool}/prometheus_${encodeURIComponent(version)}_${wanted.architecture}.deb`;
  const bytes = await download(url);
  const sha256 = sha256Of(bytes);
  if (sha256 !== wanted.sha256) throw new FarmError("DOWNLOAD_FAILED", { message: `${url} has SHA-256 ${sha256}` });
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-prometheus-"));
  try {
    const archive = join(folder, "data.tar.xz");
    await writeFile(archive, memberOf(bytes, "data.tar"));
    await run("tar", ["-xf", archive, "-C", folder, "--strip-components=3", "./usr/bin/prometheus", "./usr/bin/promtool"]);
    await mkdir(kept, { recursive: true });
    for (const name of ["prometheus", "promtool"]) {
      const partial = join(kept, `${name}.${process.pid}.partial`);
      await run("cp", [join(folder, name), partial]);
      await rename(partial, join(kept, name));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function download(url: string): Promise<Buffer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(downloadMs) });
    if (!response.ok) throw new FarmError("DOWNLOAD_FAILED", { message: `${url} answered ${response.status}` });
    return Buffer.from(await response.arrayBuffer());
  } catch (thrown) {
    if (thrown instanceof FarmError) throw thrown;
    throw new FarmError("DOWNLOAD_FAILED", { message: `${url}: ${String(thrown)}; name one with VAPFARM_PROMETHEUS`, cause: thrown });
  }
}

const headerBytes = 60;

/** A member of an `ar` archive, which a .deb is: a line of eight bytes, then headers of 60 bytes, each before its member, at even offsets. */
function memberOf(archive: Buffer, prefix: string): Buffer {
  for (let offset = 8; offset + headerBytes <= archive.length;) {
    const name = archive.toString("latin1", offset, offset + 16).trim();
    const size = Number.parseInt(archive.toString("latin1", offset + 48, offset + 58), 10);
    const start = offset + headerBytes;
    if (name.startsWith(prefix)) return archive.subarray(start, start + size);
    offset = start + size + (size % 2);
  }
  throw new FarmError("DOWNLOAD_FAILED", { message: `the package has no ${prefix}` });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
