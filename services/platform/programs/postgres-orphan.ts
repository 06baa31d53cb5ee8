/**
 * Ends a server that outlived its owner (a guardian that was killed too), named by `postmaster.pid`.
 *
 * A server whose guardian still has a living parent belongs to another farm that runs now: it is left
 * alone, and starting is refused. A pid file of a dead process is Postgres' own business: it replaces it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { pause } from "../deadline.ts";

const pollMs = 50;
const limitMs = 30_000;

async function serverOf(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number(text.split("\n")[0]);
  return Number.isInteger(pid) && pid > 1 && (await isServerOf(pid, folder)) ? pid : undefined;
}

/** Whether the process is alive and was started on this folder: a pid may have been given anew. */
async function isServerOf(pid: number, folder: string): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return command.split("\0").includes(folder);
}

async function parentOf(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const parent = /^PPid:\s+(\d+)$/m.exec(status)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

async function isGuarded(pid: number, folder: string): Promise<boolean> {
  const guardian = await parentOf(pid);
  return guardian !== undefined && guardian > 1 && (await isServerOf(guardian, folder));
}

/** Returns once no server runs on the folder; throws PROCESS_START_FAILED when a living farm uses it. */
export async function endOrphan(folder: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += pollMs) {
    const pid = await serverOf(folder);
    if (pid === undefined) return;
    // A guardian whose owner just died is stopping its server: give it a moment before judging.
    if (waitedMs >= 5_000 && (await isGuarded(pid, folder))) {
      throw new FarmError("PROCESS_START_FAILED", { message: `another farm runs on ${folder} (Postgres is process ${pid})` });
    }
    if (waitedMs === 0 && !(await isGuarded(pid, folder))) process.kill(pid, "SIGINT");
    await pause(pollMs);
  }
  throw new FarmError("PROCESS_START_FAILED", { message: `a server that was left over on ${folder} does not end` });
}
