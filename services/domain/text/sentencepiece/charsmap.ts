/**
 * SentencePiece's precompiled character map: which sequences of bytes become which, as a double-array trie (Darts-clone) and the replacements.
 *
 * Layout: the trie's size in bytes (uint32), its units (uint32, all little-endian), then replacements, each ended by a zero byte. A unit has its
 * label in bits 0–7 and 31, "has a value" in bit 8, the offset to its children in bits 10–30, shifted by 8 more if bit 9 is set; the value of a
 * node is a unit without label (bit 31): where its replacement begins.
 */
import { FarmError } from "../../errors.ts";

/** How many beginnings SentencePiece looks at (Normalizer::kMaxTrieResultsSize). */
const MOST_MATCHES = 32;
const UNIT_BYTES = 4;

export type Replacement = {
  readonly bytes: Uint8Array;
  /** Bytes of text that it stands for. */
  readonly consumed: number;
};

export type Charsmap = {
  /** The replacement of the longest sequence in the map that begins at `from`. */
  replace(text: Uint8Array, from: number): Replacement | undefined;
};

/** A map without entries is an empty array of bytes. */
export function readCharsmap(blob: Uint8Array): Charsmap {
  if (blob.length === 0) return { replace: () => undefined };
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const size = blob.length > UNIT_BYTES ? view.getUint32(0, true) : 0;
  if (size === 0 || size % UNIT_BYTES !== 0 || UNIT_BYTES + size >= blob.length || blob.at(-1) !== 0) {
    throw new FarmError("MODEL_INVALID", { message: "the tokenizer's character map is broken" });
  }
  const units = Uint32Array.from({ length: size / UNIT_BYTES }, (_, index) => view.getUint32((index + 1) * UNIT_BYTES, true));
  const replacements = blob.subarray(UNIT_BYTES + size);
  return { replace: (text, from) => longestMatch({ units, replacements }, text, from) };
}

type Tables = { readonly units: Uint32Array; readonly replacements: Uint8Array };

function longestMatch({ units, replacements }: Tables, text: Uint8Array, from: number): Replacement | undefined {
  let node = offsetOf(units[0] ?? 0);
  let found: { readonly start: number; readonly consumed: number } | undefined;
  for (let at = from, matches = 0; at < text.length && matches < MOST_MATCHES; at += 1) {
    const byte = text[at] ?? 0;
    const unit = units[node ^ byte];
    if (unit === undefined || labelOf(unit) !== byte) break;
    node = node ^ byte ^ offsetOf(unit);
    if (!hasValue(unit)) continue;
    found = { start: (units[node] ?? 0) & 0x7fffffff, consumed: at + 1 - from };
    matches += 1;
  }
  if (found === undefined || found.start >= replacements.length) return undefined;
  return { bytes: replacements.subarray(found.start, replacements.indexOf(0, found.start)), consumed: found.consumed };
}

const labelOf = (unit: number): number => (unit & 0x800000ff) >>> 0;
const hasValue = (unit: number): boolean => ((unit >>> 8) & 1) === 1;
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
