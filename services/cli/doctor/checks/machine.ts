/**
 * The machine: disk that can be written and has room, memory, and ports for `up`.
 */
import { randomUUID } from "node:crypto";
import { rm, stat, statfs, writeFile } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { toFarmError } from "../../../domain/errors.ts";
import { freePort } from "../../../platform/programs/free-port.ts";
import { bytesText } from "../../../domain/bytes-text.ts";
import { type Check, fail, ok, type Patient, type Verdict, warn } from "../verdict.ts";

/** A folder and the disk below it. */
export type DiskFindings = {
  readonly what: string;
  readonly path: string;
  readonly freeBytes: number;
  /** Why it cannot be written; undefined: it can. */
  readonly refusal: string | undefined;
};

const gibibyte = 1024 ** 3;

/** Pure. */
export function judgeDisk({ what, path, freeBytes, refusal }: DiskFindings): Verdict {
  if (refusal !== undefined) {
    return fail(what, `${path} cannot be written: ${refusal}`, "change its owner or mode, or name another folder with --data");
  }
  const found = `${path}, ${bytesText(freeBytes)} free`;
  const remedy = "free some space, or name a folder on another disk with --data or VAPFARM_ARTIFACTS";
  if (freeBytes < gibibyte / 4) return fail(what, found, remedy);
  return freeBytes < 5 * gibibyte ? warn(what, found, remedy) : ok(what, found);
}

/** What this machine has. */
export type MemoryFindings = { readonly totalBytes: number; readonly freeBytes: number; readonly cores: number };

/** Pure. */
export function judgeMemory({ totalBytes, freeBytes, cores }: MemoryFindings): Verdict {
  const found = `${bytesText(freeBytes)} of ${bytesText(totalBytes)} free, ${cores} ${cores === 1 ? "core" : "cores"}`;
  if (freeBytes < gibibyte / 4) return fail("memory", found, "end other programs, or run fewer workers (`vapfarm up --workers 1`)");
  return freeBytes < 2 * gibibyte ? warn("memory", found, "run fewer workers (`vapfarm up --workers 1`)") : ok("memory", found);
}

/** Pure; `refusal` is why no loopback port could be taken. */
export function judgePorts(refusal: string | undefined): Verdict {
  if (refusal === undefined) return ok("ports", "a loopback port can be taken; `up` takes free ones");
  return fail(
    "ports",
    `no loopback port can be taken: ${refusal}`,
    "let this user listen on 127.0.0.1; look at net.ipv4.ip_local_port_range",
  );
}

/** Looks at disk, memory and ports. */
export const machineCheck: Check = {
  name: "machine",
  async run(patient) {
    const disks = await Promise.all(foldersOf(patient).map(lookAtFolder));
    const refusal = await freePort().then(
      () => undefined,
      (thrown: unknown) => toFarmError(thrown).message,
    );
    const available = process.availableMemory();
    const memory = { totalBytes: totalmem(), freeBytes: available > 0 ? available : freemem(), cores: availableParallelism() };
    return [...disks.map(judgeDisk), judgeMemory(memory), judgePorts(refusal)];
  },
};

function foldersOf({ layout, artifactsFolder }: Patient): readonly { readonly what: string; readonly path: string }[] {
  const data = { what: "data folder", path: layout.folder };
  return artifactsFolder === undefined ? [data] : [data, { what: "artifacts", path: artifactsFolder }];
}

/** A folder that is not there yet is judged by the nearest one above it that is. */
async function lookAtFolder({ what, path }: { readonly what: string; readonly path: string }): Promise<DiskFindings> {
  const folder = await nearest(path);
  const trial = join(folder, `.vapfarm-doctor-${randomUUID()}`);
  const refusal = await writeFile(trial, "", { flag: "wx" }).then(
    () => undefined,
    (thrown: unknown) => toFarmError(thrown).message,
  );
  await rm(trial, { force: true }).catch(() => undefined);
  const { bavail, bsize } = await statfs(folder);
  return { what, path, freeBytes: bavail * bsize, refusal };
}

async function nearest(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined || dirname(path) === path ? path : nearest(dirname(path));
}
