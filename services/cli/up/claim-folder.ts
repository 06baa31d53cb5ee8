/**
 * Makes a data folder this farm's own: folders, lock, and the end of what a killed run left there.
 */
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import type { Environment } from "../../platform/config.ts";
import { readBackupNote } from "../backup/backup-note.ts";
import { mendSwap } from "../backup/swap-database.ts";
import { dataFolderOf, type DataLayout, layoutOf, makeDataFolders } from "../data-folder.ts";
import { takeDataLock } from "./data-lock.ts";
import { endLeftovers, readLedger } from "./process-ledger.ts";
import type { UpSettings } from "./settings.ts";

/** Who claims which folder. */
export type Claim = {
  readonly settings: UpSettings;
  readonly environment: Environment;
  /** Whether a folder that was restored and not recovered is taken. */
  readonly takesRestored?: boolean;
  readonly onNote: (text: string) => void;
};

/** Takes the folder; what must be undone at the end is added to `undo`. Throws RECOVERY_NEEDED for one that was restored. */
export async function claimFolder(
  { settings, environment, takesRestored, onNote }: Claim,
  undo: (() => Promise<void>)[],
): Promise<DataLayout> {
  const layout = layoutOf(settings.isEphemeral ? await makeTemporaryFolder() : dataFolderOf(settings.dataFolder, environment));
  if (settings.isEphemeral) undo.push(() => rm(layout.folder, { recursive: true, force: true }));
  if (settings.databaseUrl === undefined) await requireReachable(layout.folder);
  await makeDataFolders(layout);
  if (takesRestored !== true) await refuseRestored(layout);
  const lock = await takeDataLock(layout.lockFile, layout.folder);
  undo.push(() => lock.release());
  const ended = await endLeftovers(await readLedger(layout.processesFile));
  if (ended.length > 0) onNote(`ended what an earlier run left: ${ended.join(", ")}`);
  undo.push(() => rm(layout.processesFile, { force: true }));
  if ((await readBackupNote(layout)) !== undefined) await mendSwap(layout);
  return layout;
}

async function refuseRestored(layout: DataLayout): Promise<void> {
  const note = await readBackupNote(layout);
  if (note === undefined) return;
  const message = `${layout.folder} is a backup, or was copied from one${note.takenAt === "" ? "" : ` of ${note.takenAt}`}, and has not been recovered`;
  throw new FarmError("RECOVERY_NEEDED", { message });
}

/** Others may pass through: the database's user must. */
async function makeTemporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-"));
  await chmod(folder, 0o711);
  return folder;
}

/** As root Postgres runs as another user, who must be able to enter every folder on the way. */
async function requireReachable(folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || (found.mode & 0o001) !== 0) continue;
    const message = `Postgres does not run as root, and its own user cannot enter ${path}`;
    throw new FarmError("CONFIG_INVALID", { message, details: { remedy: "name another folder with --data, for example below /var/lib" } });
  }
}
