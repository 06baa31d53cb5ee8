/**
 * The artifact folder as it is: every whole file, hashed anew. What lies in `partial` is on its way and named by nobody.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { StoredFile } from "./evidence.ts";

/** A folder that was never written is empty. */
export async function readArtifactFolder(folder: string): Promise<readonly StoredFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && !entry.parentPath.endsWith("/partial"))
    .map((entry) => join(entry.parentPath, entry.name));
  const files: StoredFile[] = [];
  for (const path of paths) files.push(await storedFile(path));
  return files;
}

async function storedFile(path: string): Promise<StoredFile> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { name: path.slice(path.lastIndexOf("/") + 1), sizeBytes: (await stat(path)).size, sha256: hash.digest("hex") };
}
