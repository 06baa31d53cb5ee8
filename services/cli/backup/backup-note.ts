/**
 * `backup.json`: what a folder that `vapfarm backup` wrote says of itself.
 *
 * It stays in the folder when that is copied back, and a farm does not start on a folder that has it: its database went back in time
 * and must be recovered first, which takes the note away.
 */
import { readFile, rm } from "node:fs/promises";
import { z } from "zod";
import { type DataLayout, writeAtomically } from "../data-folder.ts";

const noteSchema = z.object({
  /** False while it is being written, and for ever when that was broken off. */
  isWhole: z.boolean(),
  takenAt: z.string(),
  release: z.string(),
  databaseBytes: z.number(),
  artifacts: z.number(),
  artifactBytes: z.number(),
  /** Where the farm's artifacts are, when not in its folder: they are not in the backup. */
  artifactsAt: z.string().optional(),
});

export type BackupNote = z.output<typeof noteSchema>;

/** Undefined where there is none; one that cannot be read is of a backup that is not whole. */
export async function readBackupNote({ backupFile }: DataLayout): Promise<BackupNote | undefined> {
  const text = await readFile(backupFile, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const broken: BackupNote = { isWhole: false, takenAt: "", release: "", databaseBytes: 0, artifacts: 0, artifactBytes: 0 };
  try {
    return noteSchema.parse(JSON.parse(text));
  } catch {
    return broken;
  }
}

export async function writeBackupNote({ backupFile }: DataLayout, note: BackupNote): Promise<void> {
  await writeAtomically(backupFile, `${JSON.stringify(note, undefined, 2)}\n`);
}

/** The folder has been recovered. */
export async function removeBackupNote({ backupFile }: DataLayout): Promise<void> {
  await rm(backupFile, { force: true });
}
