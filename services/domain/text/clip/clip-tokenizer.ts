/**
 * CLIP's tokenizer, which ViCLIP has too (openai/CLIP simple_tokenizer.py, clip.tokenize; VBench third_party/ViCLIP/viclip_text.py): text is cleaned and
 * made lower case, cut into words, numbers and signs, and each of them encoded by itself.
 *
 * Letters and numbers are those of the Unicode that JavaScript has. U+0345 alone, which Python's `regex` finds in no class when it ignores case, is left
 * out. Transformers' tokenizer differs: it neither mends mojibake nor reads HTML references, and its lower case knows no final sigma.
 */
import { FarmError } from "../../errors.ts";
import { fixText } from "../ftfy/fix-text.ts";
import { unescapeHtml } from "../html/unescape.ts";
import { joinSpaces, SPACES, strip } from "../white-space.ts";
import { bytePairs, endOfText, startOfText } from "./byte-pairs.ts";

export type ClipTokens = {
  /** As many as the context is long: start, text, end, zeros. */
  readonly ids: readonly number[];
  /** Of the whole text, with start and end. */
  readonly tokens: number;
  readonly isTruncated: boolean;
};

export type ClipTokenizer = {
  readonly vocabularySize: number;
  /** Ids of the text without start and end. */
  encode(text: string): readonly number[];
  /** What the network reads: a longer text is cut, its last token being the end all the same (77 for CLIP, 32 for ViCLIP). */
  tokenize(text: string, contextLength: number): ClipTokens;
};

/** `ſ` is an s where case is ignored; it is the only such character that is left in lower case. */
const contraction = "'(?:[sſtmd]|re|ve|ll)";
const special = "<\\|[sſ]tartoftext\\|>|<\\|endoftext\\|>";
const signs = `[^${SPACES}\\p{L}\\p{N}\\u0345]+`;
const words = new RegExp(`${special}|${contraction}|\\p{L}+|\\p{N}|${signs}`, "gu");

/** Builds the tokenizer from the text of its merges file. */
export function clipTokenizer(mergesText: string): ClipTokenizer {
  const { ids, encodeWord } = bytePairs(mergesText);
  const idOf = (token: string): number => ids.get(token) ?? NaN;
  const encode = (text: string): readonly number[] =>
    (cleaned(text).match(words) ?? []).flatMap((word) => (word === startOfText || word === endOfText ? [idOf(word)] : encodeWord(word)));
  const tokenize = (text: string, contextLength: number): ClipTokens => {
    if (!Number.isSafeInteger(contextLength) || contextLength < 2) {
      throw new FarmError("STAGE_INPUT_INVALID", { message: `a context of ${contextLength} tokens has no room for start and end` });
    }
    const all = [idOf(startOfText), ...encode(text), idOf(endOfText)];
    const isTruncated = all.length > contextLength;
    const kept = isTruncated ? [...all.slice(0, contextLength - 1), idOf(endOfText)] : all;
    return { ids: [...kept, ...Array<number>(contextLength - kept.length).fill(0)], tokens: all.length, isTruncated };
  };
  return { vocabularySize: ids.size, encode, tokenize };
}

function cleaned(text: string): string {
  return strip(joinSpaces(strip(unescapeHtml(unescapeHtml(fixText(text)))))).toLowerCase();
}
