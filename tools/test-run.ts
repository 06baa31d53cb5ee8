/**
 * How the tests run: in which order, and where their temporary files lie.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const memoryFolder = "/dev/shm";
const prefix = "vapfarm-test-";
/** Far more than the farms of two files take. */
const leastBytes = 4 * 1024 ** 3;

/** What takes long comes first, so that no worker is left with a long file at the end. */
const folders = ["fault", "e2e", "integration", "contract", "unit"];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => folders.findIndex((folder) => moduleId.includes(`/test/${folder}/`));
    return (await super.sort(files)).toSorted((left, right) => rank(left) - rank(right));
  }
}

/**
 * A temporary folder in memory, where there is enough: a database of its own for each of thousands of tests costs a disk more time than all
 * else. Undefined where there is none, where programs cannot be started from it, or where the caller has chosen a place (TMPDIR).
 */
export function makeMemoryFolder(): string | undefined {
  if (process.env["TMPDIR"] !== undefined || process.platform !== "linux" || freemem() < 2 * leastBytes) return undefined;
  try {
    const { bavail, bsize } = statfsSync(memoryFolder);
    if (bavail * bsize < leastBytes) return undefined;
    removeLeftovers();
    const folder = mkdtempSync(join(memoryFolder, `${prefix}${process.pid}-`));
    chmodSync(folder, 0o1777);
    if (canStartPrograms(folder)) return folder;
    rmSync(folder, { recursive: true });
  } catch {
    // Tests run without it.
  }
  return undefined;
}

/** Of runs that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(memoryFolder)) {
    const [, processId] = new RegExp(`^${prefix}(\\d+)-`).exec(name) ?? [];
    if (processId !== undefined && !isRunning(Number(processId))) rmSync(join(memoryFolder, name), { recursive: true, force: true });
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}

function canStartPrograms(folder: string): boolean {
  const program = join(folder, "program");
  writeFileSync(program, "#!/bin/sh\nexit 7\n", { mode: 0o755 });
  const { status } = spawnSync(program);
  rmSync(program);
  return status === 7;
}
