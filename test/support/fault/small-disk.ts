/**
 * A disk for artifacts that a test fills: a small tmpfs of its own where mounting is allowed (writes fail with ENOSPC), else a folder whose
 * writers get a limit on the size of files (EFBIG).
 */
import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const sizeMiB = 64;

export type SmallDisk = {
  readonly folder: string;
  /** What its writers meet when it is full. */
  readonly how: "ENOSPC" | "EFBIG";
  /** From now on none of these processes can write to it. */
  fill(writers: readonly number[]): Promise<void>;
  free(writers: readonly number[]): Promise<void>;
  remove(): Promise<void>;
};

/** Makes one. */
export async function makeSmallDisk(): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-disk-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const isMounted = await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m,mode=755`, "vapfarm-test", folder]).then(
    () => true,
    () => false,
  );
  if (!isMounted)
    return { folder, how: "EFBIG", fill: (writers) => limit(writers, "0"), free: (writers) => limit(writers, "unlimited"), remove };
  const ballast = join(folder, "partial", "ballast");
  return {
    folder,
    how: "ENOSPC",
    fill: () => fillUp(ballast),
    free: () => rm(ballast),
    async remove() {
      await run("umount", [folder]);
      await remove();
    },
  };
}

/** The hard limit stays, so that the soft one can be raised again. */
async function limit(writers: readonly number[], bytes: string): Promise<void> {
  for (const writer of writers) await run("prlimit", ["--pid", String(writer), `--fsize=${bytes}:`]);
}

async function fillUp(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (let bytes = 1024 * 1024; bytes >= 1; bytes = Math.floor(bytes / 2)) await writeUntilFull(file, Buffer.alloc(bytes));
  } finally {
    await file.close();
  }
}

async function writeUntilFull(file: Awaited<ReturnType<typeof open>>, block: Buffer): Promise<void> {
  for (;;) {
    try {
      const { bytesWritten } = await file.write(block);
      if (bytesWritten < block.length) return;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ENOSPC") return;
      throw thrown;
    }
  }
}
