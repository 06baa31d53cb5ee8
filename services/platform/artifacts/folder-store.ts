/**
 * Artifacts as files of one folder: `<root>/<first two hex digits>/<hash>`.
 *
 * A put copies into `<root>/partial`, hashes what it copied, flushes it, and renames it into place, so a crash
 * leaves at most a partial file, which a later start removes. It does so when the artifact is there already, too: a producer
 * that runs again because its bytes were found damaged replaces them.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { isSha256 } from "../../domain/ids.ts";
import { flushFolder } from "../flush-folder.ts";
import { relativePathOf } from "./artifact-name.ts";
import type { ArtifactStat, ArtifactStore, ByteRange } from "./artifact-store.ts";
import { emptyBytes } from "./empty-bytes.ts";

const partialMaxAgeMs = 24 * 3600 * 1000;

/** A store in a folder that several processes and, over a network file system, several machines may share. */
export async function openFolderStore(root: string): Promise<ArtifactStore> {
  const partialFolder = join(root, "partial");
  await inStore(async () => {
    await mkdir(partialFolder, { recursive: true });
    await removeOldPartials(partialFolder);
  });
  return {
    backend: "folder",
    put: (sha256, path, signal) => put(root, { sha256, path }, signal),
    get: (sha256, range, signal) => read(pathOf(root, sha256), range, signal),
    stat: (sha256) => statOf(pathOf(root, sha256)),
    delete: (sha256) => inStore(() => rm(pathOf(root, sha256), { force: true })),
    list: () => listed(root),
  };
}

async function* listed(root: string): AsyncGenerator<ArtifactStat & { readonly sha256: string }> {
  for (const folder of await inStore(() => readdir(root))) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue;
    for (const sha256 of await inStore(() => readdir(join(root, folder)))) {
      if (!isSha256(sha256)) continue;
      const found = await statOf(pathOf(root, sha256));
      if (found !== undefined) yield { sha256, ...found };
    }
  }
}

function pathOf(root: string, sha256: string): string {
  return join(root, relativePathOf(sha256));
}

async function put(root: string, artifact: { readonly sha256: string; readonly path: string }, signal?: AbortSignal): Promise<void> {
  const target = pathOf(root, artifact.sha256);
  const partial = join(root, "partial", `${artifact.sha256}.${randomUUID()}`);
  try {
    const written = await inStore(() => copyHashed(artifact.path, partial, signal));
    if (written !== artifact.sha256) {
      throw new FarmError("ARTIFACT_CORRUPT", { message: `the bytes hash to ${written}, not to the announced ${artifact.sha256}` });
    }
    await inStore(async () => {
      await mkdir(join(root, artifact.sha256.slice(0, 2)), { recursive: true });
      await rename(partial, target);
      await flushFolder(join(root, artifact.sha256.slice(0, 2)));
    });
  } finally {
    await rm(partial, { force: true });
  }
}

async function copyHashed(from: string, to: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(to, "wx");
  try {
    for await (const chunk of createReadStream(from, { signal }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

async function read(path: string, range: ByteRange | undefined, signal: AbortSignal | undefined): Promise<AsyncIterable<Uint8Array>> {
  const found = await statOf(path);
  if (found === undefined) throw new FarmError("ARTIFACT_MISSING");
  if (range === undefined) return createReadStream(path, { signal });
  const end = Math.min(range.end, found.sizeBytes);
  return end <= range.start ? emptyBytes() : createReadStream(path, { start: range.start, end: end - 1, signal });
}

async function statOf(path: string): Promise<ArtifactStat | undefined> {
  const found = await inStore(() => statOrGone(path));
  return found === undefined ? undefined : { sizeBytes: found.size };
}

async function statOrGone(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

async function removeOldPartials(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    // A partial that went meanwhile was renamed or removed by whoever made it.
    const found = await statOrGone(path);
    if (found !== undefined && Date.now() - found.mtimeMs > partialMaxAgeMs) await rm(path, { force: true });
  }
}

async function inStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
  }
}
