/**
 * Every hash of a version that lies on a node, and mending what is bad.
 *
 * Of a plain folder, which no pull made, what farm.json says of its engines is checked; it cannot be mended from the farm. A bad file is made anew
 * beside the old one from its good chunks and those that are pulled, then renamed over it: who has the old one open keeps it.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pinnedReference } from "../../domain/model-reference.ts";
import { chunksOf, type VersionFile } from "../../domain/model-version.ts";
import { openManifest } from "../../platform/models/repository.ts";
import { writeAll } from "../../platform/write-all.ts";
import type { ChunkSource } from "./chunk-source.ts";
import { describeFile, openIfThere, readChunk } from "./file-chunks.ts";
import { readVersionFile, type VersionOnDisk } from "./node-folder.ts";

/** A file that is not what it should be. */
export type BadFile = { readonly path: string; readonly reason: string };

/** What a folder turned out to hold. */
export type Checked = {
  readonly folder: string;
  /** `<name>:<version>`, or the name of a plain folder's model. */
  readonly reference: string;
  readonly files: number;
  readonly bytes: number;
  readonly bad: readonly BadFile[];
  /** Of a version that was pulled. */
  readonly version: VersionOnDisk | undefined;
};

type Reading = { readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void };

/** Checks one folder; MODEL_INVALID where it holds no model at all. */
export async function checkFolder(folder: string, reading: Reading): Promise<Checked> {
  const version = await readVersionFile(folder);
  const files = version?.files ?? (await filesOfPlain(folder));
  const reference = version === undefined ? (await openManifest(folder)).name : pinnedReference(version.name, version.version);
  const bad: BadFile[] = [];
  for (const file of files) {
    const reason = await faultOf(join(folder, file.path), file, reading);
    if (reason !== undefined) bad.push({ path: file.path, reason });
  }
  return { folder, reference, files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), bad, version };
}

type StatedFile = Pick<VersionFile, "path" | "bytes" | "sha256">;

async function filesOfPlain(folder: string): Promise<readonly StatedFile[]> {
  const { engines } = await openManifest(folder);
  return [...new Map(Object.values(engines).flatMap((engine) => engine.files.map((file) => [file.path, file] as const))).values()];
}

async function faultOf(path: string, file: StatedFile, reading: Reading): Promise<string | undefined> {
  const status = await stat(path).catch(() => undefined);
  if (status === undefined) return "is missing";
  if (status.size !== file.bytes) return `has ${status.size} bytes, not ${file.bytes}`;
  const { sha256 } = await describeFile(path, reading);
  return sha256 === file.sha256 ? undefined : `has SHA-256 ${sha256}, not ${file.sha256}`;
}

/** Makes bad files anew; how many bytes were pulled. The folder's lock is the caller's. */
export async function repairFiles(
  { folder, bad, version }: Checked & { readonly version: VersionOnDisk },
  source: ChunkSource,
  signal: AbortSignal,
): Promise<number> {
  let pulled = 0;
  for (const { path } of bad) {
    const file = version.files.find((each) => each.path === path);
    if (file !== undefined) pulled += await repairFile(join(folder, path), { file, version, source, signal });
  }
  return pulled;
}

type Repair = { readonly file: VersionFile; readonly version: VersionOnDisk; readonly source: ChunkSource; readonly signal: AbortSignal };

async function repairFile(path: string, repair: Repair): Promise<number> {
  await mkdir(dirname(path), { recursive: true });
  const draft = join(dirname(path), `.${randomUUID()}`);
  const old = await openIfThere(path);
  const made = await open(draft, "wx");
  try {
    const pulled = await fill(made, old, repair);
    await made.sync();
    await rename(draft, path);
    return pulled;
  } finally {
    await made.close();
    await old?.close();
    await rm(draft, { force: true });
  }
}

async function fill(made: FileHandle, old: FileHandle | undefined, { file, version, source, signal }: Repair): Promise<number> {
  let pulled = 0;
  for (const chunk of chunksOf(file)) {
    signal.throwIfAborted();
    const good = old === undefined ? undefined : await readChunk(old, chunk);
    const bytes = good ?? (await source.read(version, chunk));
    await writeAll(made, bytes, chunk.offset);
    if (good === undefined) pulled += bytes.length;
  }
  return pulled;
}
