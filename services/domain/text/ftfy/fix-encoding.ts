/**
 * Undoing mojibake, as ftfy.fix_encoding does with its defaults: text that looks bad is turned back into bytes in each encoding that can have made
 * it and read as UTF-8; where that fails as a whole, the parts that look like UTF-8 are fixed alone.
 */
import { decodeUtf8 } from "../utf8.ts";
import { isBad } from "./badness.ts";
import { CHARMAPS, encode, fixC1Controls, type Charmap } from "./charmaps.ts";
import { UTF8_CLUES } from "./mojibake-table.ts";
import { decodeUtf8Variants } from "./utf8-variants.ts";

/** Bytes of UTF-8 in which a space stands for A0. */
const ALTERED = alternatives([
  "[\\xc2\\xc3\\xc5\\xce\\xd0\\xd9] ",
  "[\\xe2\\xe3] [\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf]",
  "[\\xe0-\\xe3][\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf] ",
  "\\xf0 [\\x80-\\xbf]{2}",
  "\\xf0[\\x80-\\xbf] [\\x80-\\xbf]",
  "\\xf0[\\x80-\\xbf]{2} ",
]);
/** "à" as a word: keeps its space. */
const A_GRAVE = /\xc3 (?! |quele|quela|quilo|s )/g;
/** Bytes of UTF-8 of which some are lost: each is 1A, at most one is "?". */
const LOSSY = alternatives([
  "[\\xc2-\\xdf]\\x1a",
  "[\\xc2-\\xc3]\\?",
  "\\xed[\\xa0-\\xaf][\\x1a?]\\xed[\\xb0-\\xbf][\\x1a?\\x80-\\xbf]",
  "\\xed[\\xa0-\\xaf][\\x1a?\\x80-\\xbf]\\xed[\\xb0-\\xbf][\\x1a?]",
  "[\\xe0-\\xef][\\x1a?][\\x1a\\x80-\\xbf]",
  "[\\xe0-\\xef][\\x1a\\x80-\\xbf][\\x1a?]",
  "[\\xf0-\\xf4][\\x1a?][\\x1a\\x80-\\xbf]{2}",
  "[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a?][\\x1a\\x80-\\xbf]",
  "[\\xf0-\\xf4][\\x1a\\x80-\\xbf]{2}[\\x1a?]",
  "\\x1a",
]);
const LOST = "\xef\xbf\xbd";

const {
  utf8_first_of_2: of2,
  utf8_first_of_3: of3,
  utf8_first_of_4: of4,
  utf8_continuation: next,
  utf8_continuation_strict: strict,
} = UTF8_CLUES;
/** Characters that together look like UTF-8 read in an encoding of one byte. */
const UTF8_LOOKALIKES = new RegExp(`(?<![${strict}])(?:[${of2}][${next}]|[${of3}][${next}]{2}|[${of4}][${next}]{3})+`, "gu");

// eslint-disable-next-line no-control-regex
const BEYOND_ASCII = /[^\x00-\x7f]/u;

/** Until nothing changes. */
export function fixEncoding(text: string): string {
  for (let before = text; ;) {
    const after = fixOnce(before);
    if (after === before) return after;
    before = after;
  }
}

function fixOnce(text: string): string {
  if (!BEYOND_ASCII.test(text) || !isBad(text)) return text;
  for (const charmap of CHARMAPS) {
    const fixed = readAsUtf8(text, charmap);
    if (fixed !== undefined) return fixed;
  }
  const inParts = fixParts(text);
  if (inParts !== text) return inParts;
  return fixC1Controls(text);
}

/** `text`, which was bytes of UTF-8 read in an encoding of one byte; undefined if it was not. */
function readAsUtf8(text: string, charmap: Charmap): string | undefined {
  let bytes = encode(text, charmap);
  if (bytes === undefined) return undefined;
  if (charmap.name !== "macroman" && bytes.search(ALTERED) >= 0) bytes = restoreA0(bytes);
  if (charmap.isSloppy) bytes = bytes.replace(LOSSY, LOST);
  return /[\xc0\xed]/.test(bytes) ? decodeUtf8Variants(bytes) : decodeUtf8(bytes);
}

function restoreA0(bytes: string): string {
  return bytes.replace(A_GRAVE, "\xc3\xa0 ").replace(ALTERED, (match) => match.replaceAll(" ", "\xa0"));
}

/** A part as long as the text is left alone, so that this ends. */
function fixParts(text: string): string {
  return text.replace(UTF8_LOOKALIKES, (part) => (part.length < text.length && isBad(part) ? fixEncoding(part) : part));
}

function alternatives(patterns: readonly string[]): RegExp {
  return new RegExp(patterns.join("|"), "g");
}
