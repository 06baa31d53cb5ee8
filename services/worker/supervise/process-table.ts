/**
 * What Linux tells of a process, enough to know that a process id still means the process it meant.
 */
import { readFile } from "node:fs/promises";

export type ProcessFacts = {
  /** Clock ticks since boot; with the id it names one process for good. */
  readonly startTime: string;
  /** As in /proc: "Z" has ended and only waits to be reaped. */
  readonly state: string;
  readonly commandLine: readonly string[];
};

/** Undefined when there is no such process (or no /proc). */
export async function readProcess(processId: number): Promise<ProcessFacts | undefined> {
  try {
    const stat = await readFile(`/proc/${processId}/stat`, "utf8");
    const commandLine = await readFile(`/proc/${processId}/cmdline`, "utf8");
    return { ...parseStat(stat), commandLine: commandLine.split("\0").filter((part) => part !== "") };
  } catch {
    return undefined;
  }
}

/** Fields 3 (state) and 22 (start time) of /proc/<pid>/stat; field 2 may itself hold spaces and brackets. */
export function parseStat(stat: string): Pick<ProcessFacts, "startTime" | "state"> {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTime: fields[19] ?? "" };
}

export type ProcessMemory = { readonly residentBytes: number; readonly peakBytes: number };

/** What a process holds of the machine's memory, and the most that it held; undefined when there is no such process (or no /proc). */
export async function readMemory(processId: number): Promise<ProcessMemory | undefined> {
  try {
    return parseMemory(await readFile(`/proc/${processId}/status`, "utf8"));
  } catch {
    return undefined;
  }
}

/** VmRSS and VmHWM of /proc/<pid>/status; a process that has ended has neither. */
export function parseMemory(status: string): ProcessMemory | undefined {
  const bytesOf = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1_024;
  const memory = { residentBytes: bytesOf("VmRSS"), peakBytes: bytesOf("VmHWM") };
  return Number.isNaN(memory.residentBytes) || Number.isNaN(memory.peakBytes) ? undefined : memory;
}
