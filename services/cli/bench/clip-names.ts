/**
 * What the clips of a run are called, in folders and in VBench's files: `007_man-534-0`.
 *
 * Row, stem of the target's path, index of the seed: unique within a run, sorted by row. VBench takes as a clip's prompt what is left of
 * its name without a number at the end (spec vbench §2.3); the index of the seed is always such a number, so nothing of the target's own
 * name is ever taken off.
 */
import { posix } from "node:path";

/** What a name is made of. */
export type NamedItem = { readonly position: number; readonly targetPath: string; readonly seedIndex: number };

const mostStemCharacters = 80;

/** The name without ending; `digits` by `digitsOf` of the largest position. */
export function clipName({ position, targetPath, seedIndex }: NamedItem, digits: number): string {
  const row = String(position).padStart(digits, "0");
  const stem = posix.parse(targetPath.replaceAll("\\", "/")).name;
  const safe = Array.from(stem.toWellFormed().replaceAll(/[^\p{L}\p{N}._-]+/gu, "_"))
    .slice(0, mostStemCharacters)
    .join("");
  return `${row}${safe === "" ? "" : `_${safe}`}-${seedIndex}`;
}

/** So that a run of some rows names them as a run of all does, up to 10,000. */
const leastDigits = 4;

/** Digits that names of rows up to this position have. */
export function digitsOf(lastPosition: number): number {
  return Math.max(leastDigits, String(lastPosition).length);
}
