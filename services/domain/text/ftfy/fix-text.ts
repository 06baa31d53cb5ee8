/**
 * ftfy.fix_text with its defaults (6.3.1): each line on its own, its fixes over and over until nothing changes.
 *
 * HTML references are read until the first line that has a "<": from there on the text is taken for HTML.
 */
import { nfc } from "../unicode.ts";
import { fixC1Controls } from "./charmaps.ts";
import {
  fixCharacterWidth,
  fixLatinLigatures,
  fixLineBreaks,
  fixSurrogates,
  removeControlCharacters,
  removeTerminalEscapes,
  uncurlQuotes,
  unescapeEntities,
} from "./fix-characters.ts";
import { fixEncoding } from "./fix-encoding.ts";

/** Code points of a line that is not cut. */
const LONGEST_SEGMENT = 1_000_000;

const FIXES: readonly ((text: string) => string)[] = [
  fixEncoding,
  fixC1Controls,
  fixLatinLigatures,
  fixCharacterWidth,
  uncurlQuotes,
  fixLineBreaks,
  fixSurrogates,
  removeTerminalEscapes,
  removeControlCharacters,
  nfc,
];

/** ftfy.fix_text(text). */
export function fixText(text: string): string {
  let isHtml = false;
  let fixed = "";
  for (const segment of segments(text)) {
    isHtml ||= segment.includes("<");
    fixed += fixSegment(segment, isHtml);
  }
  return fixed;
}

function fixSegment(segment: string, isHtml: boolean): string {
  for (let before = segment; ;) {
    const after = FIXES.reduce((text, fix) => fix(text), isHtml ? before : unescapeEntities(before));
    if (after === before) return after;
    before = after;
  }
}

/** Lines with their line feed, cut where they are longer than a segment may be. */
function* segments(text: string): Generator<string> {
  for (let from = 0; from < text.length;) {
    const lineFeed = text.indexOf("\n", from);
    const lineEnd = lineFeed < 0 ? text.length : lineFeed + 1;
    const to = Math.min(lineEnd, from + codeUnits(text, from));
    yield text.slice(from, to);
    from = to;
  }
}

/** Code units of the longest segment at `from`. */
function codeUnits(text: string, from: number): number {
  if (text.length - from <= LONGEST_SEGMENT) return text.length - from;
  let at = from;
  for (let count = 0; count < LONGEST_SEGMENT && at < text.length; count += 1) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  return at - from;
}
