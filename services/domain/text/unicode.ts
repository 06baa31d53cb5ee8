/**
 * Properties of characters and NFC as of Unicode 14, which is what Python 3.11 has: a later character is unassigned to it, so it is no letter,
 * no digit, and stands between its neighbours without composing or reordering. JavaScript's newer tables agree on all others.
 */
import { UNASSIGNED_RUNS } from "./unassigned-table.ts";

/** Inside of a class: code points that Unicode 14 has no character for. */
const UNASSIGNED = unassignedClass(UNASSIGNED_RUNS.trim().split(/\s+/));
const UNASSIGNED_PARTS = new RegExp(`([${UNASSIGNED}]+)`, "u");

/** Pattern of re's \w in a string. */
export const WORD_CHARACTER = `(?:(?![${UNASSIGNED}])[\\p{L}\\p{N}_])`;
/** Pattern of re's \d in a string. */
export const DECIMAL_DIGIT = `(?:(?![${UNASSIGNED}])\\p{Nd})`;

/** unicodedata.normalize("NFC", text). */
export function nfc(text: string): string {
  return text
    .split(UNASSIGNED_PARTS)
    .map((part, index) => (index % 2 === 0 ? part.normalize("NFC") : part))
    .join("");
}

function unassignedClass(runs: readonly string[]): string {
  let start = 0;
  let pattern = "";
  runs.forEach((digits, index) => {
    const end = start + parseInt(digits, 36);
    if (index % 2 === 1) pattern += `\\u{${start.toString(16)}}-\\u{${(end - 1).toString(16)}}`;
    start = end;
  });
  return pattern;
}
