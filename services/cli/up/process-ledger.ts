/**
 * The processes that a farm started, written down so that the next start can end what a kill -9 left.
 *
 * Only processes named here, and still the very same ones, are ever ended. (Postgres keeps its own account: postmaster.pid.)
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { pause } from "../../platform/deadline.ts";
import { writeAtomically } from "../data-folder.ts";
import { identify, isStillAlive, type ProcessIdentity } from "./process-identity.ts";

const ledgerSchema = z.array(z.object({ name: z.string(), processId: z.number().int(), began: z.string() }));

/** A process that was started here. */
export type LedgerEntry = ProcessIdentity & { readonly name: string };

const politeMs = 3_000;
const pollMs = 50;

/** What an earlier run wrote; nothing when there is no readable file. */
export async function readLedger(path: string): Promise<readonly LedgerEntry[]> {
  try {
    return ledgerSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return [];
  }
}

/** Writes the processes that run now. */
export async function writeLedger(path: string, running: readonly { readonly name: string; readonly processId: number }[]): Promise<void> {
  const entries: LedgerEntry[] = [];
  for (const { name, processId } of running) {
    const identity = await identify(processId);
    if (identity !== undefined) entries.push({ name, ...identity });
  }
  await writeAtomically(path, JSON.stringify(entries));
}

/** Ends what still lives of an earlier run: SIGTERM, then SIGKILL. Returns the names. */
export async function endLeftovers(entries: readonly LedgerEntry[]): Promise<readonly string[]> {
  const ended: string[] = [];
  for (const entry of entries) if (await endOne(entry)) ended.push(entry.name);
  return ended;
}

async function endOne(entry: LedgerEntry): Promise<boolean> {
  if (!(await isStillAlive(entry))) return false;
  send(entry.processId, "SIGTERM");
  for (let waitedMs = 0; waitedMs < politeMs; waitedMs += pollMs) {
    await pause(pollMs);
    if (!(await isStillAlive(entry))) return true;
  }
  send(entry.processId, "SIGKILL");
  while (await isStillAlive(entry)) await pause(pollMs);
  return true;
}

function send(processId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(processId, signal);
  } catch {
    // It has ended in between, which is what was wanted.
  }
}
