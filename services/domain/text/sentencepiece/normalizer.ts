/**
 * SentencePiece's normalization (normalizer.cc of 0.2.3): the character map on the longest sequence it knows, spaces at the ends and runs of them
 * removed, a space put before the text, spaces written as U+2581. Works on UTF-8, as the original does.
 */
import { readCharsmap, type Replacement } from "./charsmap.ts";
import { longestKey, pieceTrie } from "./piece-trie.ts";

export type NormalizerSpec = {
  /** The precompiled character map; empty: none. */
  readonly charsmap: Uint8Array;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
  /** The dummy goes after the text. */
  readonly treatWhitespaceAsSuffix: boolean;
};

export type Normalizer = (text: Uint8Array) => Uint8Array;

const SPACE = 0x20;
const ESCAPED_SPACE = [0xe2, 0x96, 0x81];
const OPEN_SPACE = [SPACE];

/** User-defined symbols are taken as they are. */
export function normalizer(spec: NormalizerSpec, userDefined: readonly string[]): Normalizer {
  const charsmap = readCharsmap(spec.charsmap);
  const symbols = pieceTrie(userDefined.map((symbol) => [symbol, 0]));
  const replace = (text: Uint8Array, from: number): Replacement => {
    const symbol = longestKey(symbols, text, from);
    const consumed = symbol > 0 ? symbol : characterLength(text[from] ?? 0);
    const asItIs = { bytes: text.subarray(from, from + consumed), consumed };
    return symbol > 0 ? asItIs : (charsmap.replace(text, from) ?? asItIs);
  };
  return (text) => normalize(text, spec, replace);
}

/** Bytes of the character that begins with `lead`, in valid UTF-8. */
export function characterLength(lead: number): number {
  if (lead < 0xc0) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

function normalize(text: Uint8Array, spec: NormalizerSpec, replace: (text: Uint8Array, from: number) => Replacement): Uint8Array {
  const space = spec.escapeWhitespaces ? ESCAPED_SPACE : OPEN_SPACE;
  let from = spec.removeExtraWhitespaces ? afterSpaces(text, replace) : 0;
  if (from === text.length) return new Uint8Array(0);
  const out: number[] = [];
  if (spec.addDummyPrefix && !spec.treatWhitespaceAsSuffix) out.push(...space);
  let isAfterSpace = spec.removeExtraWhitespaces;
  while (from < text.length) {
    const { bytes, consumed } = replace(text, from);
    let start = 0;
    while (isAfterSpace && bytes[start] === SPACE) start += 1;
    for (const byte of bytes.subarray(start)) {
      if (byte === SPACE) out.push(...space);
      else out.push(byte);
    }
    if (start < bytes.length) isAfterSpace = spec.removeExtraWhitespaces && bytes.at(-1) === SPACE;
    from += consumed;
  }
  if (spec.removeExtraWhitespaces) removeSpacesAtEnd(out, space);
  if (spec.addDummyPrefix && spec.treatWhitespaceAsSuffix) out.push(...space);
  return Uint8Array.from(out);
}

/** Where the first sequence begins that does not become one space. */
function afterSpaces(text: Uint8Array, replace: (text: Uint8Array, from: number) => Replacement): number {
  let from = 0;
  while (from < text.length) {
    const { bytes, consumed } = replace(text, from);
    if (bytes.length !== 1 || bytes[0] !== SPACE) break;
    from += consumed;
  }
  return from;
}

/** Also what stands there as U+2581 itself, as in the original. */
function removeSpacesAtEnd(out: number[], space: readonly number[]): void {
  while (out.length >= space.length && space.every((byte, index) => out[out.length - space.length + index] === byte)) {
    out.length -= space.length;
  }
}
