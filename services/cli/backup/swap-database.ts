/**
 * A backup's new database takes the place of the one before, and a reader finds one of them whatever breaks in between.
 *
 * `postgres.new` is written beside `postgres`; at the end `postgres` becomes `postgres.old`, `postgres.new` becomes `postgres`, and the old one goes.
 * No system call here swaps two folders at once: where it broke off between the renames there is no `postgres`, and `mendSwap` puts the old one back.
 */
import { lstat, rename, rm } from "node:fs/promises";
import { flushFolder } from "../../platform/flush-folder.ts";
import type { DataLayout } from "../data-folder.ts";

export type SwapStep = "set aside" | "swap" | "tidy";

const besideOf = ({ postgres }: DataLayout) => ({ fresh: `${postgres}.new`, old: `${postgres}.old` });

/** Where the new database is copied to; after `mendSwap` nothing is there. */
export function freshDatabase(layout: DataLayout): string {
  return besideOf(layout).fresh;
}

/** The new database, which is whole, in place of the one before. */
export async function swapDatabase(layout: DataLayout, onStep: (step: SwapStep) => void): Promise<void> {
  const { fresh, old } = besideOf(layout);
  onStep("set aside");
  if (await isThere(layout.postgres)) await rename(layout.postgres, old);
  onStep("swap");
  await rename(fresh, layout.postgres);
  await flushFolder(layout.folder);
  onStep("tidy");
  await rm(old, { recursive: true, force: true });
}

/** Puts the database before back where a swap broke off, and takes away what such a one left. */
export async function mendSwap(layout: DataLayout): Promise<void> {
  const { fresh, old } = besideOf(layout);
  if ((await isThere(old)) && !(await isThere(layout.postgres))) {
    await rename(old, layout.postgres);
    await flushFolder(layout.folder);
  }
  for (const rest of [fresh, old]) await rm(rest, { recursive: true, force: true });
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
