/**
 * ftfy's codec "utf-8-variants": UTF-8 in which also Java's C0 80 (U+0000) and CESU-8 (surrogate pairs of three bytes each) are read.
 *
 * Its patterns use Python's $, which also matches before a line feed at the end: there, `C0 0A` is read as U+0000 and a CESU-8 pair whose last
 * byte is a line feed as a character. Lines end so, hence that is kept.
 */
import { decodeUtf8 } from "../utf8.ts";

const END = "(?=\\n?$)";
const SPECIAL = new RegExp(`\\xc0(?:\\x80|${END})|\\xed(?:[\\xa0-\\xbf]|${END})(?:[\\x80-\\xbf]|${END})`, "g");
const PAIR = /\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf](?:[\x80-\xbf]|\n$)/y;
const PAIR_BYTES = 6;

type Step = { readonly text: string; readonly next: number };

/** Undefined where the codec raises. */
export function decodeUtf8Variants(bytes: string): string | undefined {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const step = decodeStep(bytes, at);
    if (step === undefined) return undefined;
    text += step.text;
    at = step.next;
  }
  return text;
}

function decodeStep(bytes: string, at: number): Step | undefined {
  SPECIAL.lastIndex = at;
  const special = SPECIAL.exec(bytes)?.index ?? bytes.length;
  if (special > at) return strictly(bytes, { at, next: special });
  const left = bytes.length - at;
  if (bytes.charCodeAt(at) === 0xc0) return left > 1 ? { text: "\0", next: at + 2 } : undefined;
  if (left < PAIR_BYTES) return strictly(bytes, { at, next: bytes.length });
  PAIR.lastIndex = at;
  return PAIR.test(bytes) ? { text: String.fromCodePoint(pairAt(bytes, at)), next: at + PAIR_BYTES } : undefined;
}

function strictly(bytes: string, { at, next }: { readonly at: number; readonly next: number }): Step | undefined {
  const text = decodeUtf8(bytes.slice(at, next));
  return text === undefined ? undefined : { text, next };
}

function pairAt(bytes: string, at: number): number {
  const bits = (offset: number, mask: number): number => bytes.charCodeAt(at + offset) & mask;
  return 0x10000 + (bits(1, 0x0f) << 16) + (bits(2, 0x3f) << 10) + (bits(4, 0x0f) << 6) + bits(5, 0x3f);
}
