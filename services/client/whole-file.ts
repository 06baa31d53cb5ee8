/**
 * Files that appear whole or not at all.
 *
 * Only a file, or a link to one, is ever replaced: a rename would put a file where a device or a socket stood.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { FarmError } from "../domain/errors.ts";

/**
 * Writes a file through one beside it: synced, then renamed. On any failure nothing is left. FIELD_INVALID when the path is something
 * other than a file, or its folder cannot be made.
 */
export async function writeWhole<T>(path: string, fill: (file: FileHandle, partialPath: string) => Promise<T>): Promise<T> {
  await requireReplaceable(path);
  await makeFolder(dirname(path)).catch((thrown: unknown) => Promise.reject(unwritable(path, wordOf(thrown))));
  const partial = `${path}.${randomUUID()}.partial`;
  const file = await open(partial, "wx").catch((thrown: unknown) => Promise.reject(unwritable(path, wordOf(thrown))));
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

async function requireReplaceable(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there === undefined || there.isFile() || there.isSymbolicLink()) return;
  throw unwritable(path, there.isDirectory() ? "it is a folder" : "it is no file");
}

/** Not mkdir's own recursion, which never ends where folders cannot be made at all (/proc). */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (thrown) {
    if (wordOf(thrown) === "EEXIST") return;
    if (wordOf(thrown) !== "ENOENT" || dirname(path) === path) throw thrown;
    await makeFolder(dirname(path));
    await mkdir(path).catch((again: unknown) => (wordOf(again) === "EEXIST" ? undefined : Promise.reject(unwritable(path, wordOf(again)))));
  }
}

/** The system's word for what went wrong, e.g. EACCES. */
function wordOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : String(thrown);
}

function unwritable(path: string, why: string): FarmError {
  const reason = `${path} cannot be written (${why})`;
  const fields = [{ field: "file", reason, remedy: "name another file or folder" }];
  return new FarmError("FIELD_INVALID", { message: reason, details: { fields } });
}
