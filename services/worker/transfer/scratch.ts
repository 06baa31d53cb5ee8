/**
 * One folder for each attempt, gone with it. What a killed agent left is removed at the next start.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../platform/logging.ts";

type ScratchFolder = {
  readonly inputFolder: string;
  readonly outputFolder: string;
  /** Removes everything; never rejects. */
  close(): Promise<void>;
};

export type Scratch = { open(): Promise<ScratchFolder> };

/** Empties the folder and hands out folders below it. */
export async function openScratch(folder: string, logger: Logger): Promise<Scratch> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return {
    async open() {
      const own = await mkdtemp(join(folder, "a-"));
      const inputFolder = join(own, "in");
      const outputFolder = join(own, "out");
      await mkdir(inputFolder);
      await mkdir(outputFolder);
      return { inputFolder, outputFolder, close: () => remove(own, logger) };
    },
  };
}

async function remove(folder: string, logger: Logger): Promise<void> {
  try {
    // A cancelled run may still write for a moment.
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  } catch (thrown) {
    logger.warn({ err: thrown, folder }, "a scratch folder could not be removed; the next start does it");
  }
}
