/**
 * Which runtime this worker folder started last, so that a starting agent can end what a killed one left behind.
 *
 * A runtime ends itself when its agent goes, but a hung or stopped one cannot, and two on one device do not fit its memory. Only the very
 * process that was written down is killed: same id, same start time, same program.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { FarmError } from "../../domain/errors.ts";
import { type Clock, sleep } from "../session/clock.ts";
import { readProcess } from "./process-table.ts";

export type PidFile = {
  /** Writes down a runtime that was just started. */
  write(processId: number): Promise<void>;
  /** Kills the runtime that is written down, if it still runs, and waits for its end; tells whether there was one. */
  endPrevious(): Promise<boolean>;
  remove(): Promise<void>;
};

const lookEveryMs = 20;
const endMs = 30_000;

/** The file of one worker folder; `entry` is the runtime's program. */
export function openPidFile(options: { readonly path: string; readonly entry: string; readonly clock: Clock }): PidFile {
  const { path } = options;
  return {
    async write(processId) {
      const startTime = (await readProcess(processId))?.startTime ?? "";
      await writeFile(path, `${processId} ${startTime}\n`);
    },
    async endPrevious() {
      const found = await previous(options);
      if (found === undefined) return false;
      process.kill(found.processId, "SIGKILL");
      await ended(found, options.clock);
      await rm(path, { force: true });
      return true;
    },
    remove: () => rm(path, { force: true }),
  };
}

type Written = { readonly processId: number; readonly startTime: string };

async function previous(options: { readonly path: string; readonly entry: string }): Promise<Written | undefined> {
  const text = await readFile(options.path, "utf8").catch(() => "");
  const [id = "", startTime = ""] = text.trim().split(" ");
  const processId = Number(id);
  if (!Number.isSafeInteger(processId) || processId <= 1 || startTime === "") return undefined;
  const facts = await readProcess(processId);
  const same = facts?.startTime === startTime && facts.state !== "Z" && facts.commandLine.includes(options.entry);
  return same ? { processId, startTime } : undefined;
}

async function ended({ processId, startTime }: Written, clock: Clock): Promise<void> {
  const never = new AbortController().signal;
  for (const startedAtMs = clock.nowMs(); clock.nowMs() - startedAtMs < endMs;) {
    const facts = await readProcess(processId);
    if (facts?.startTime !== startTime || facts.state === "Z") return;
    await sleep(clock, lookEveryMs, never);
  }
  throw new FarmError("RUNTIME_START_FAILED", { message: `an earlier runtime (process ${processId}) does not end` });
}
