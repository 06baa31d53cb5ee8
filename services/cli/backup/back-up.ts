/**
 * A farm's data folder → a folder beside it that a farm can start from: the database first, then the artifacts.
 *
 * In that order every artifact that the database promises is in the copy, unless it was collected in between; bytes never change
 * under a name, so a backup into the same folder copies only what is new.
 */
import { chmod, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { openFolderStore } from "../../platform/artifacts/folder-store.ts";
import { copyRunningDatabase } from "../../platform/database/base-backup.ts";
import { type DataLayout, layoutOf } from "../data-folder.ts";
import { type BackupNote, writeBackupNote } from "./backup-note.ts";

export type BackupRequest = {
  readonly url: string;
  readonly layout: DataLayout;
  readonly to: string;
  readonly release: string;
  readonly now: Date;
  readonly signal: AbortSignal;
  readonly onNote: (text: string) => void;
};

/** What was written, and how much of it was new. */
export type Backup = BackupNote & { readonly newArtifacts: number; readonly damaged: readonly string[] };

/** Writes the backup; throws BACKUP_FAILED, and leaves the folder marked as not whole. */
export async function backUp(request: BackupRequest): Promise<Backup> {
  const target = layoutOf(request.to);
  if (target.folder === request.layout.folder) throw new FarmError("BACKUP_FAILED", { message: "--to is the data folder itself" });
  const begun: BackupNote = {
    isWhole: false,
    takenAt: request.now.toISOString(),
    release: request.release,
    databaseBytes: 0,
    artifacts: 0,
    artifactBytes: 0,
  };
  await inTarget(async () => {
    // The database's own user must be able to pass, as in a data folder.
    if ((await mkdir(target.folder, { recursive: true })) !== undefined) await chmod(target.folder, 0o711);
    await mkdir(target.artifacts, { recursive: true, mode: 0o700 });
    await writeBackupNote(target, begun);
  });
  request.onNote("copying the database");
  const databaseBytes = await copyDatabase(request, target);
  request.onNote("copying artifacts");
  const { damaged, newArtifacts, ...artifacts } = await copyArtifacts(request, target);
  const note: BackupNote = { ...begun, ...artifacts, databaseBytes, isWhole: true };
  await inTarget(() => writeBackupNote(target, note));
  return { ...note, newArtifacts, damaged };
}

async function copyDatabase({ url, layout }: BackupRequest, target: DataLayout): Promise<number> {
  const fresh = join(target.folder, "postgres.new");
  await inTarget(() => rm(fresh, { recursive: true, force: true }));
  const bytes = await copyRunningDatabase({ url, folder: layout.postgres, target: fresh });
  await inTarget(async () => {
    await rm(target.postgres, { recursive: true, force: true });
    await rename(fresh, target.postgres);
  });
  return bytes;
}

async function copyArtifacts({ layout, signal }: BackupRequest, target: DataLayout) {
  const [from, to] = await Promise.all([openFolderStore(layout.artifacts), openFolderStore(target.artifacts)]);
  const damaged: string[] = [];
  let [artifacts, artifactBytes, newArtifacts] = [0, 0, 0];
  for await (const { sha256, sizeBytes } of from.list?.() ?? []) {
    signal.throwIfAborted();
    if ((await to.stat(sha256))?.sizeBytes !== sizeBytes) {
      const outcome = await copyArtifact({ from, to }, { sha256, path: join(layout.artifacts, sha256.slice(0, 2), sha256) });
      if (outcome === "damaged") damaged.push(sha256);
      if (outcome !== "copied") continue;
      newArtifacts += 1;
    }
    artifacts += 1;
    artifactBytes += sizeBytes;
  }
  return { artifacts, artifactBytes, newArtifacts, damaged };
}

type Stores = { readonly from: Awaited<ReturnType<typeof openFolderStore>>; readonly to: Awaited<ReturnType<typeof openFolderStore>> };

/** Collected meanwhile, or not what its name says: not in the backup, and recovering it will tell. */
async function copyArtifact({ from, to }: Stores, { sha256, path }: { readonly sha256: string; readonly path: string }) {
  try {
    await to.put(sha256, path);
    return "copied";
  } catch (thrown) {
    if (toFarmError(thrown).code === "ARTIFACT_CORRUPT") return "damaged";
    if ((await from.stat(sha256)) === undefined) return "gone";
    throw toFarmError(thrown, "BACKUP_FAILED");
  }
}

async function inTarget<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw toFarmError(thrown, "BACKUP_FAILED");
  }
}
