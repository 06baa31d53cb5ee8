/**
 * One farm per data folder.
 *
 * The lock is a file that names its owner's process; a lock whose owner is gone (kill -9, power) is taken over. Reading and replacing it
 * happens under a mutex that the kernel frees when its holder dies (a listening abstract socket), so two starts at once cannot both win,
 * and a start that is killed in between hinders nobody.
 */
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { z } from "zod";
import { FarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";
import { writeAtomically } from "../data-folder.ts";
import { identify, isStillAlive, type ProcessIdentity } from "./process-identity.ts";

const lockSchema = z.object({ processId: z.number().int(), began: z.string() });
const mutexTries = 250;
const mutexPauseMs = 20;

/** A folder that nobody else has. */
export type DataLock = { release(): Promise<void> };

/** Takes the lock or throws PROCESS_START_FAILED naming the process that holds it. */
export async function takeDataLock(path: string, folder: string): Promise<DataLock> {
  const own = (await identify(process.pid)) ?? { processId: process.pid, began: "" };
  const mutex = await takeMutex(path, folder);
  try {
    const owner = await readOwner(path);
    if (owner !== undefined && (await isStillAlive(owner))) throw inUse(folder, `process ${owner.processId}`);
    await writeAtomically(path, JSON.stringify(own));
    return { release: () => rm(path, { force: true }) };
  } finally {
    mutex.close();
  }
}

async function takeMutex(path: string, folder: string): Promise<Server> {
  const name = `\0vapfarm-lock-${createHash("sha256").update(path).digest("hex")}`;
  for (let attempt = 0; attempt < mutexTries; attempt += 1) {
    const server = await listen(name);
    if (server !== undefined) return server;
    await pause(mutexPauseMs);
  }
  throw inUse(folder, "another start");
}

/** Undefined while another process, or another call of this one, listens there. */
function listen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => resolve(server));
  });
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
