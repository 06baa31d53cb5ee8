/**
 * The folder that a backup goes to: its own or a new one, never a farm's, and one backup at a time.
 */
import { readdir, realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { toFarmError } from "../../domain/errors.ts";
import { invalidOption } from "../ages.ts";
import { type DataLayout, layoutOf, makePassableFolder } from "../data-folder.ts";
import { type DataLock, takeDataLock } from "../up/data-lock.ts";

export type BackupTarget = DataLock & { readonly layout: DataLayout };

/** Makes the folder and takes it; it is held until `release`. Throws FIELD_INVALID, and PROCESS_START_FAILED where another process has it. */
export async function takeTarget(to: string, source: DataLayout): Promise<BackupTarget> {
  const folder = await realPathOf(to);
  const own = await realPathOf(source.folder);
  if (folder === own) throw invalidOption("--to", "is the data folder itself", elsewhere);
  if (`${folder}${sep}`.startsWith(`${own}${sep}`)) throw invalidOption("--to", `lies in the data folder ${own}`, elsewhere);
  const layout = layoutOf(folder);
  await requireBackupOrNothing(layout);
  try {
    await makePassableFolder(folder);
  } catch (thrown) {
    throw invalidOption("--to", `cannot be made: ${toFarmError(thrown).message}`, elsewhere);
  }
  const lock = await takeDataLock(layout.lockFile, folder);
  return { layout, release: () => lock.release() };
}

const elsewhere = "name a new folder, or that of the backup before";

async function requireBackupOrNothing({ folder, lockFile, backupFile }: DataLayout): Promise<void> {
  const names = await readdir(folder).catch((thrown: unknown): readonly string[] => {
    const { code, message } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    throw invalidOption("--to", `is no folder that can be read: ${message}`, elsewhere);
  });
  if (names.includes(basename(backupFile))) return;
  // Of a backup that broke off before its first word.
  const others = names.filter((name) => !name.startsWith(basename(lockFile)));
  if (others.length > 0) throw invalidOption("--to", `holds something else than a backup: ${others.slice(0, 3).join(", ")}`, elsewhere);
}

/** Without links, as far as it is there. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) return path;
    return join(await realPathOf(dirname(path)), basename(path));
  }
}
