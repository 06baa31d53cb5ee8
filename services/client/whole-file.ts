/**
 * Files that appear whole or not at all.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file through one beside it: synced, then renamed. On any failure nothing is left. */
export async function writeWhole<T>(path: string, fill: (file: FileHandle, partialPath: string) => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${randomUUID()}.partial`;
  const file = await open(partial, "wx");
  try {
    const result = await fill(file, partial);
    await file.sync();
    await file.close();
    await rename(partial, path);
    return result;
  } catch (thrown) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw thrown;
  }
}
