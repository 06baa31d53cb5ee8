/**
 * A model's folder as a version to push: every file that is not hidden, links followed, each read once.
 *
 * What farm.json says of its files is held against their bytes here, before anything is sent.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { isModelName } from "../../domain/model-reference.ts";
import { modelChunkBytes, type VersionFile } from "../../domain/model-version.ts";
import { type HeldManifest, parseHeldManifest } from "../../platform/models/repository.ts";
import { invalidOption } from "../ages.ts";
import { describeFile, sha256Of } from "./file-chunks.ts";

/** A version that can be sent. */
export type FolderToPush = {
  readonly manifest: HeldManifest;
  readonly farmJson: string;
  readonly files: readonly VersionFile[];
  /** Where a file's bytes are: on disk, or here. */
  readonly sourceOf: (path: string) => string | Uint8Array;
};

type Reading = {
  /** Of the model; undefined: as farm.json says. */
  readonly name: string | undefined;
  readonly signal: AbortSignal;
  /** Told of bytes that were hashed, of so many. */
  readonly onProgress: (done: number, total: number) => void;
};

const manifestName = "farm.json";

/** Reads the folder; MODEL_INVALID where it is no whole model. */
export async function readFolder(folder: string, { name, signal, onProgress }: Reading): Promise<FolderToPush> {
  const written = await readFile(join(folder, manifestName), "utf8").catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `model ${folder}: ${manifestName} cannot be read`, cause });
  });
  const farmJson = name === undefined ? written : renamed(written, name);
  const manifest = parseHeldManifest(farmJson, folder);
  const listed = await filesBelow(folder);
  const total = listed.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const onBytes = (bytes: number): void => onProgress((done += bytes), total);
  const manifestBytes = new TextEncoder().encode(farmJson);
  const files: VersionFile[] = [];
  for (const { path } of listed) {
    const described = path === manifestName ? describeBytes(manifestBytes) : await describeFile(join(folder, path), { signal, onBytes });
    files.push({ path, ...described });
  }
  requireStated(folder, manifest, files);
  const sourceOf = (path: string): string | Uint8Array => (path === manifestName ? manifestBytes : join(folder, path));
  return { manifest, farmJson, files, sourceOf };
}

/** The same manifest of another name. Numbers stay as they are spelled: the engines' digests are made of that. */
function renamed(text: string, name: string): string {
  if (!isModelName(name)) throw invalidOption("--name", `"${name}" is no name of a model`, "use up to 100 letters, digits, '.', '_' or '-'");
  const keep = (_key: string, value: unknown, { source }: { readonly source?: string }): unknown =>
    typeof value === "number" && source !== undefined ? rawJson(source) : value;
  const manifest = JSON.parse(text, keep as (key: string, value: unknown) => unknown) as object;
  return `${JSON.stringify({ ...manifest, name }, null, 2)}\n`;
}

/** JSON.rawJSON (ES2026), which TypeScript's library does not type yet. */
function rawJson(source: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(source);
}

function describeBytes(bytes: Uint8Array): Omit<VersionFile, "path"> {
  const chunks: string[] = [];
  for (let at = 0; at < bytes.length; at += modelChunkBytes) chunks.push(sha256Of(bytes.subarray(at, at + modelChunkBytes)));
  return { bytes: bytes.length, sha256: sha256Of(bytes), chunks };
}

async function filesBelow(folder: string, below = ""): Promise<readonly { readonly path: string; readonly bytes: number }[]> {
  const found: { readonly path: string; readonly bytes: number }[] = [];
  for (const name of (await readdir(join(folder, below))).toSorted()) {
    if (name.startsWith(".")) continue;
    const path = below === "" ? name : `${below}/${name}`;
    const status = await stat(join(folder, path));
    if (status.isDirectory()) found.push(...(await filesBelow(folder, path)));
    else if (status.isFile()) found.push({ path, bytes: status.size });
    else throw new FarmError("MODEL_INVALID", { message: `model ${folder}: ${path} is neither file nor folder` });
  }
  return found;
}

function requireStated(folder: string, { engines }: HeldManifest, files: readonly VersionFile[]): void {
  const found = new Map(files.map((file) => [file.path, file]));
  for (const { path, bytes, sha256 } of Object.values(engines).flatMap((engine) => engine.files)) {
    const file = found.get(path);
    if (file?.sha256 === sha256 && file.bytes === bytes) continue;
    const reason = file === undefined ? "is missing" : `has SHA-256 ${file.sha256}, ${manifestName} says ${sha256}`;
    throw new FarmError("MODEL_INVALID", { message: `model ${folder}: ${path} ${reason}` });
  }
}
