/**
 * A version onto this node: its files in `.partial`, chunk by chunk, then renamed to their place.
 *
 * Resumable after a kill at any byte: what lies in a partial file is hashed chunk by chunk, what is right stays and the rest is written anew. A
 * chunk is written only after its bytes were found right, and at its own place, so several are on their way at once, of one file or of many.
 */
import { type FileHandle, mkdir, open, readdir, rm, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { bytesText } from "../../domain/bytes-text.ts";
import { bytesOf, chunksOf, type VersionChunk, type VersionFile } from "../../domain/model-version.ts";
import { writeAll } from "../../platform/write-all.ts";
import { mapBounded } from "../batch/bounded.ts";
import type { ChunkSource } from "./chunk-source.ts";
import { readChunk } from "./file-chunks.ts";
import { finishPartial, partialOf, type VersionOnDisk } from "./node-folder.ts";

/** What a pull did. */
export type Pulled = {
  /** That lay in partial files already. */
  readonly keptBytes: number;
  readonly writtenBytes: number;
  readonly seconds: number;
};

export type PullOptions = {
  readonly root: string;
  readonly source: ChunkSource;
  readonly signal: AbortSignal;
  /** Chunks on their way at a time. */
  readonly parallel: number;
  readonly onProgress: (done: number, total: number) => void;
  /** Of the folder's disk; the system's word when absent. */
  readonly freeBytes?: (root: string) => Promise<number>;
};

type Missing = { readonly file: FileHandle; readonly chunk: VersionChunk };

/** Pulls what is missing of it. The folder's lock is the caller's. */
export async function pullVersion(version: VersionOnDisk, options: PullOptions): Promise<Pulled> {
  const startedMs = performance.now();
  const partial = partialOf(options.root, version);
  const total = bytesOf(version.files);
  const handles: FileHandle[] = [];
  try {
    await inFolder(() => removeStrangers(partial, version.files));
    let done = 0;
    const missing: Missing[] = [];
    for (const file of version.files) {
      const handle = await inFolder(() => openPartial(join(partial, file.path), file.bytes));
      handles.push(handle);
      const lacking = await missingOf(handle, file, options.signal);
      done += file.bytes - bytesIn(lacking);
      missing.push(...lacking.map((chunk) => ({ file: handle, chunk })));
      options.onProgress(done, total);
    }
    const keptBytes = done;
    await requireRoom(options, total - keptBytes);
    await mapBounded(missing, options.parallel, async ({ file, chunk }) => {
      options.signal.throwIfAborted();
      const bytes = await options.source.read(version, chunk);
      await inFolder(() => writeAll(file, bytes, chunk.offset));
      options.onProgress((done += bytes.length), total);
    });
    options.signal.throwIfAborted();
    for (const handle of handles) await inFolder(() => handle.sync());
    await inFolder(() => finishPartial(options.root, version));
    return { keptBytes, writtenBytes: total - keptBytes, seconds: (performance.now() - startedMs) / 1_000 };
  } finally {
    for (const handle of handles) await handle.close();
  }
}

/** Opens it with what it has, and no more than it shall have. */
async function openPartial(path: string, bytes: number): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "a").then(async (made) => {
    await made.close();
    return await open(path, "r+");
  });
  if ((await file.stat()).size > bytes) await file.truncate(bytes);
  return file;
}

async function missingOf(handle: FileHandle, file: VersionFile, signal: AbortSignal): Promise<readonly VersionChunk[]> {
  const missing: VersionChunk[] = [];
  const { size } = await handle.stat();
  for (const chunk of chunksOf(file)) {
    signal.throwIfAborted();
    if (chunk.offset >= size || (await readChunk(handle, chunk)) === undefined) missing.push(chunk);
  }
  return missing;
}

function bytesIn(chunks: readonly VersionChunk[]): number {
  return chunks.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Files of a partial folder that the version does not have. */
async function removeStrangers(partial: string, files: readonly VersionFile[]): Promise<void> {
  await mkdir(partial, { recursive: true });
  const own = new Set(files.map(({ path }) => path));
  for (const entry of await readdir(partial, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && !own.has(path.slice(partial.length + 1))) await rm(path, { force: true });
  }
}

async function requireRoom({ root, freeBytes = systemFreeBytes }: PullOptions, neededBytes: number): Promise<void> {
  const free = await inFolder(() => freeBytes(root));
  if (free >= neededBytes) return;
  throw new FarmError("MODEL_DISK_FULL", {
    message: `${bytesText(neededBytes)} are still to be written to ${root}, whose disk has ${bytesText(free)} left`,
  });
}

async function systemFreeBytes(root: string): Promise<number> {
  const { bavail, bsize } = await statfs(root);
  return bavail * bsize;
}

/** Work on a node's folder: what its disk has no room for is MODEL_DISK_FULL. */
export async function inFolder<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : "";
    throw toFarmError(thrown, code === "ENOSPC" || code === "EDQUOT" ? "MODEL_DISK_FULL" : "INTERNAL");
  }
}
