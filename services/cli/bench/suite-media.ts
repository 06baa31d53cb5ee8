/**
 * The files that a suite's rows name: where they really lie, what they hold, whether they decode.
 *
 * Each distinct file is hashed once and each distinct content decoded once, several at a time. What is wrong with a file is told at every
 * cell that names it. A link is followed, but not out of the root.
 */
import { lstat, realpath } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { toFarmError } from "../../domain/errors.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import type { MediaReader } from "../../platform/media/media-reader.ts";
import { mapBounded } from "../batch/bounded.ts";
import type { FileFault } from "../file-faults.ts";
import type { NamedFile } from "./suite-rows.ts";

/** A file of the suite that is sound as far as it was looked at. */
export type SuiteFile = { readonly path: string; readonly sha256: string; readonly sizeBytes: number };

/** Path below the root → its file, of those that are sound; and what is wrong with the others. */
export type MediaReading = { readonly files: ReadonlyMap<string, SuiteFile>; readonly faults: readonly FileFault[] };

/** How files are looked at. */
export type MediaChecks = {
  readonly root: string;
  /** Undefined: contents are hashed, not decoded. */
  readonly reader: MediaReader | undefined;
  readonly signal: AbortSignal;
  readonly onProgress?: (phase: "hash" | "decode", done: number, total: number) => void;
};

const atOnce = 4;
const expectedClip = "a clip that decodes from its first to its last frame";

/** Looks at every file that is named. */
export async function readSuiteMedia(named: readonly NamedFile[], checks: MediaChecks): Promise<MediaReading> {
  const uses = usesOf(named);
  const paths = [...uses.keys()];
  const root = await realpath(resolve(checks.root)).catch(() => undefined);
  if (root === undefined) return { files: new Map(), faults: [rootFault(checks.root)] };
  const wrong = new Map<string, string>();
  const files = new Map<string, SuiteFile>();
  const hashed = counted(paths.length, (done, total) => checks.onProgress?.("hash", done, total));
  await mapBounded(paths, atOnce, async (path) => {
    const found = await hashWithin(root, path, checks.signal);
    if (typeof found === "string") wrong.set(path, found);
    else files.set(path, found);
    hashed();
  });
  if (checks.reader !== undefined) await decodeAll(files, wrong, { ...checks, reader: checks.reader });
  const faults = [...wrong].flatMap(([path, reason]) => (uses.get(path) ?? []).map((use) => faultOf(use, reason)));
  return { files: new Map([...files].filter(([path]) => !wrong.has(path))), faults };
}

function usesOf(named: readonly NamedFile[]): ReadonlyMap<string, readonly NamedFile[]> {
  const uses = new Map<string, NamedFile[]>();
  for (const use of named) {
    const known = uses.get(use.path);
    if (known === undefined) uses.set(use.path, [use]);
    else known.push(use);
  }
  return uses;
}

function faultOf({ line, column, field, path }: NamedFile, reason: string): FileFault {
  return { line, column, field, reason: `${path}: ${reason}`, expected: expectedClip };
}

function rootFault(root: string): FileFault {
  return { line: 1, column: 1, field: "--root", reason: `there is no folder ${root}`, expected: "the folder that paths are relative to" };
}

/** The file, or why it is none of the suite's. */
async function hashWithin(root: string, path: string, signal: AbortSignal): Promise<SuiteFile | string> {
  const given = join(root, path);
  const real = await realpath(given).catch(() => undefined);
  if (real === undefined) {
    const isLink = (await lstat(given).catch(() => undefined))?.isSymbolicLink() === true;
    return isLink ? "is a link to nothing" : "there is no such file";
  }
  if (real !== root && !real.startsWith(root.endsWith(sep) ? root : `${root}${sep}`)) return "is a link that leads out of the root";
  const found = await lstat(real);
  if (!found.isFile()) return found.isDirectory() ? "is a folder" : "is no file";
  if (found.size === 0) return "is empty";
  try {
    return { path: real, ...(await hashFile(real, signal)) };
  } catch (thrown) {
    signal.throwIfAborted();
    return `cannot be read (${thrown instanceof Error && "code" in thrown ? String(thrown.code) : toFarmError(thrown).message})`;
  }
}

/** Decodes each content once; whatever is wrong with it is wrong with every path that has it. */
async function decodeAll(
  files: ReadonlyMap<string, SuiteFile>,
  wrong: Map<string, string>,
  { reader, signal, onProgress }: MediaChecks & { readonly reader: MediaReader },
): Promise<void> {
  const contents = new Map([...files.values()].map((file) => [file.sha256, file.path]));
  const decoded = counted(contents.size, (done, total) => onProgress?.("decode", done, total));
  const reasons = new Map<string, string>();
  await mapBounded([...contents], atOnce, async ([sha256, path]) => {
    const reason = await whyNoClip(reader, path, signal);
    if (reason !== undefined) reasons.set(sha256, reason);
    decoded();
  });
  for (const [path, { sha256 }] of files) {
    const reason = reasons.get(sha256);
    if (reason !== undefined) wrong.set(path, reason);
  }
}

async function whyNoClip(reader: MediaReader, path: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { kind, width, height } = await reader.inspect(path, signal);
    return kind === "video" ? undefined : `is an image of ${width}x${height}, not a clip`;
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = toFarmError(thrown);
    return `${code}: ${message}`;
  }
}

function counted(total: number, tell: (done: number, total: number) => void): () => void {
  let done = 0;
  return () => {
    done += 1;
    tell(done, total);
  };
}
