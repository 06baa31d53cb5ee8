/**
 * A node's folder of versions: what lies in it, when it was last asked for, and what a crash left.
 *
 * A version is whole when its folder has its name: it is made in `.partial` and renamed. One that goes is renamed to a hidden name first, so that
 * nobody ever opens half of one.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { pinnedReference, versionFolder, versionOfFolder } from "../../domain/model-reference.ts";
import { flushFolder } from "../../platform/flush-folder.ts";
import { nodeAliasesName, nodeAliasesText } from "../../platform/models/node-aliases.ts";
import { bytesOf, chunksOf, isInnerPath, type VersionChunk, type VersionFile } from "../../domain/model-version.ts";

/** Names no file that can be pushed. */
export const versionFileName = ".version.json";
const partialName = ".partial";
const trashName = ".trash";
const usedName = ".used";

const fileSchema = z.object({
  path: z.string().refine(isInnerPath, "must stay inside"),
  bytes: z.number().int().nonnegative(),
  sha256: z.string(),
  chunks: z.array(z.string()),
});
const versionSchema = z.object({ name: z.string(), version: z.string(), digest: z.string(), files: z.array(fileSchema) });

/** What a version is made of, as the farm told it. */
export type VersionOnDisk = {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly files: readonly VersionFile[];
};

/** A version that lies here. */
export type NodeVersion = VersionOnDisk & {
  readonly reference: string;
  readonly folder: string;
  readonly bytes: number;
  readonly usedAtMs: number;
};

/** Where a chunk lies in a file of this machine. */
export type HeldFile = { readonly path: string; readonly chunk: VersionChunk };

/** Versions of the folder, by name. One without its list, which no pull makes, is left alone. */
export async function listNode(root: string): Promise<readonly NodeVersion[]> {
  const names = await readdir(root).catch(() => []);
  const found: NodeVersion[] = [];
  for (const name of names.toSorted()) {
    const folder = join(root, name);
    const version = versionOfFolder(name) === undefined ? undefined : await readVersionFile(folder);
    if (version === undefined) continue;
    const reference = pinnedReference(version.name, version.version);
    found.push({ ...version, reference, folder, bytes: bytesOf(version.files), usedAtMs: await usedAt(root, name) });
  }
  return found;
}

/** What a pulled folder says of itself; undefined for another kind of folder. */
export async function readVersionFile(folder: string): Promise<VersionOnDisk | undefined> {
  const text = await readFile(join(folder, versionFileName), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = versionSchema.safeParse(parseOrNothing(text));
  return parsed.success ? parsed.data : undefined;
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The chunks of versions that lie here. */
export function chunksHeld(versions: readonly NodeVersion[]): readonly HeldFile[] {
  return versions.flatMap(({ folder, files }) => files.flatMap((file) => chunksOf(file).map((chunk) => ({ path: join(folder, file.path), chunk }))));
}

/** Where a version lies, whole. */
export function placeOf(root: string, { name, version }: Pick<VersionOnDisk, "name" | "version">): string {
  return join(root, versionFolder(name, version));
}

/** Where it is made. */
export function partialOf(root: string, { name, version }: Pick<VersionOnDisk, "name" | "version">): string {
  return join(root, partialName, versionFolder(name, version));
}

/** Ends the making of a version: flushed, then there under its name. */
export async function finishPartial(root: string, version: VersionOnDisk): Promise<void> {
  const { name, version: id, digest, files } = version;
  const partial = partialOf(root, version);
  await writeFile(join(partial, versionFileName), `${JSON.stringify({ name, version: id, digest, files })}\n`, { flush: true });
  await flushFolder(partial);
  await rename(partial, placeOf(root, version));
  await flushFolder(root);
}

/** Writes down what aliases mean now: whole or not at all. */
export async function writeAliases(root: string, versions: Parameters<typeof nodeAliasesText>[0]): Promise<void> {
  const path = join(root, nodeAliasesName);
  const text = nodeAliasesText(versions);
  if ((await readFile(path, "utf8").catch(() => undefined)) === text) return;
  const draft = `${path}.draft`;
  await writeFile(draft, text, { flush: true });
  await rename(draft, path);
}

/** Says that a version was asked for now. */
export async function markUsed(root: string, { name, version }: Pick<VersionOnDisk, "name" | "version">): Promise<void> {
  const path = join(root, usedName, versionFolder(name, version));
  await mkdir(join(root, usedName), { recursive: true });
  await writeFile(path, "", { flag: "a" });
  const now = new Date();
  await utimes(path, now, now);
}

async function usedAt(root: string, folder: string): Promise<number> {
  const status = await stat(join(root, usedName, folder)).catch(() => stat(join(root, folder)));
  return status.mtimeMs;
}

/** Takes a version away: at once for whoever looks, then from the disk. */
export async function removeVersion(root: string, { folder, name, version }: NodeVersion): Promise<void> {
  // Beside the others: a folder for what goes is a block that a full disk does not have.
  await rename(folder, join(root, `${trashName}.${randomUUID()}`));
  await rm(join(root, usedName, versionFolder(name, version)), { force: true });
  await emptyTrash(root);
}

/** Removes what a crash left: what was being taken away, and what was being made of versions that are not among these. */
export async function tidyNode(root: string, known: readonly Pick<VersionOnDisk, "name" | "version">[]): Promise<void> {
  await emptyTrash(root);
  const kept = new Set(known.map(({ name, version }) => versionFolder(name, version)));
  for (const name of await readdir(join(root, partialName)).catch(() => [])) {
    if (!kept.has(name)) await rm(join(root, partialName, name), { recursive: true, force: true });
  }
}

async function emptyTrash(root: string): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    if (name.startsWith(trashName)) await rm(join(root, name), { recursive: true, force: true });
  }
}
