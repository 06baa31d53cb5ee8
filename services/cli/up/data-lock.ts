/**
 * One farm per data folder.
 *
 * The lock is a file that names its owner's process; a lock whose owner is gone (kill -9, power) is taken over. Linking a complete file into
 * place is atomic, so two starts at once cannot both win, and no one ever reads half a lock.
 */
import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { z } from "zod";
import { FarmError } from "../../domain/errors.ts";
import { identify, isStillAlive, type ProcessIdentity } from "./process-identity.ts";

const lockSchema = z.object({ processId: z.number().int(), began: z.string() });
const tries = 5;

export type DataLock = { release(): Promise<void> };

/** Takes the lock or throws PROCESS_START_FAILED naming the process that holds it. */
export async function takeDataLock(path: string, folder: string): Promise<DataLock> {
  const own = (await identify(process.pid)) ?? { processId: process.pid, began: "" };
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < tries; attempt += 1) {
      if (await place(draft, path)) return { release: () => rm(path, { force: true }) };
      await clearStale(path, folder);
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw inUse(folder, "another start");
}

async function place(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST") return false;
    throw thrown;
  }
}

/** Removes the lock of a dead owner; throws when the owner lives. */
async function clearStale(path: string, folder: string): Promise<void> {
  const owner = await readOwner(path);
  if (owner !== undefined && (await isStillAlive(owner))) throw inUse(folder, `process ${owner.processId}`);
  // Whoever renames it first clears it; a fresh lock that slipped in between is put back.
  const aside = `${path}.${randomUUID()}.stale`;
  const moved = await rename(path, aside).then(() => true, () => false); // prettier-ignore
  if (!moved) return;
  const found = await readOwner(aside);
  if (found !== undefined && (await isStillAlive(found))) await place(aside, path);
  await rm(aside, { force: true });
}

async function readOwner(path: string): Promise<ProcessIdentity | undefined> {
  try {
    return lockSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return undefined;
  }
}

function inUse(folder: string, holder: string): FarmError {
  return new FarmError("PROCESS_START_FAILED", {
    message: `a farm already runs on ${folder} (${holder})`,
    details: { remedy: "use that farm, stop it first, or name another folder with --data" },
  });
}
