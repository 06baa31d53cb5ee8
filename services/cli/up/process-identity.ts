/**
 * Which process a number means: a pid is given anew, so it counts only together with when its process began.
 */
import { readFile } from "node:fs/promises";

/** A process that no later one is taken for. */
export type ProcessIdentity = {
  readonly processId: number;
  /** Boot and start tick on Linux; "" where the system does not tell. */
  readonly began: string;
};

/** The identity of a living process; undefined when there is none of that number. */
export async function identify(processId: number): Promise<ProcessIdentity | undefined> {
  if (!isAlive(processId)) return undefined;
  const status = await readFile(`/proc/${processId}/stat`, "utf8").catch(() => undefined);
  if (status === undefined) return { processId, began: "" };
  // The name may hold spaces and brackets; what follows its last bracket is plain. Field 3 is the state, field 22 the start.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z") return undefined;
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return { processId, began: `${boot.trim()}:${fields[19] ?? ""}` };
}

/** Whether that very process still lives. */
export async function isStillAlive(known: ProcessIdentity): Promise<boolean> {
  const now = await identify(known.processId);
  return now !== undefined && now.began === known.began;
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "EPERM";
  }
}
