/**
 * A farm's data folder → a folder beside it that a farm can start from: the database first, then the artifacts.
 *
 * In that order every artifact that the database promises is in the copy, unless it was collected in between; bytes never change
 * under a name, so a backup into the same folder copies only what is new.
 *
 * Invariant: a folder that held a whole backup holds one at every moment after (swap-database.ts), the one before or the new one: artifacts are only
 * added, and the new database takes its place last.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { toFarmError } from "../../domain/errors.ts";
import { openFolderStore } from "../../platform/artifacts/folder-store.ts";
import type { DataLayout } from "../data-folder.ts";
import { type BackupNote, readBackupNote, writeBackupNote } from "./backup-note.ts";
import { takeTarget } from "./backup-target.ts";
import { freshDatabase, mendSwap, swapDatabase, type SwapStep } from "./swap-database.ts";

export type BackupStep = "database" | "artifacts" | SwapStep | "note";

export type BackupRequest = {
  /** Copies the running database into a folder that does not exist; returns its bytes. */
  readonly copyDatabase: (target: string) => Promise<number>;
  readonly layout: DataLayout;
  readonly to: string;
  /** Where the farm's artifacts are, when not in its folder: they are not copied then. */
  readonly artifactsAt: string | undefined;
  readonly release: string;
  readonly now: Date;
  readonly signal: AbortSignal;
  /** Is told of each step before it is taken. */
  readonly onStep: (step: BackupStep) => void;
};

/** What was written, and how much of it was new. */
export type Backup = BackupNote & { readonly newArtifacts: number; readonly damaged: readonly string[] };

/** Writes the backup; throws BACKUP_FAILED, and leaves the backup before, or where there was none a folder that is marked as not whole. */
export async function backUp(request: BackupRequest): Promise<Backup> {
  const target = await takeTarget(request.to, request.layout);
  try {
    return await backUpTo(target.layout, request);
  } catch (thrown) {
    // A disk that is full needs its room.
    await rm(freshDatabase(target.layout), { recursive: true, force: true });
    throw thrown;
  } finally {
    await target.release();
  }
}

async function backUpTo(target: DataLayout, request: BackupRequest): Promise<Backup> {
  const begun: BackupNote = {
    isWhole: false,
    takenAt: request.now.toISOString(),
    release: request.release,
    databaseBytes: 0,
    artifacts: 0,
    artifactBytes: 0,
    artifactsAt: request.artifactsAt,
  };
  await inTarget(async () => {
    if ((await readBackupNote(target))?.isWhole !== true) await writeBackupNote(target, begun);
    await mkdir(target.artifacts, { recursive: true, mode: 0o700 });
    await mendSwap(target);
  });
  request.onStep("database");
  const databaseBytes = await request.copyDatabase(freshDatabase(target));
  const { damaged, newArtifacts, ...artifacts } = request.artifactsAt === undefined ? await copyArtifacts(request, target) : nothing;
  const note: BackupNote = { ...begun, ...artifacts, databaseBytes, isWhole: true };
  await inTarget(async () => {
    await swapDatabase(target, request.onStep);
    request.onStep("note");
    await writeBackupNote(target, note);
  });
  return { ...note, newArtifacts, damaged };
}

const nothing = { damaged: [], artifacts: 0, artifactBytes: 0, newArtifacts: 0 };

async function copyArtifacts({ layout, signal, onStep }: BackupRequest, target: DataLayout) {
  onStep("artifacts");
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
