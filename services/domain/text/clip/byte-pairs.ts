/**
 * Byte-level byte-pair encoding as CLIP has it (openai/CLIP simple_tokenizer.py): the vocabulary and its order, and how a word is put together.
 *
 * Every byte has a printable symbol; the last one of a word carries `</w>`. Ids: 256 symbols, the same with `</w>`, the merges in their order, start and
 * end of text. So nothing is unknown.
 */
import { FarmError } from "../../errors.ts";

export const startOfText = "<|startoftext|>";
export const endOfText = "<|endoftext|>";

export type BytePairs = {
  /** Symbol → id. */
  readonly ids: ReadonlyMap<string, number>;
  /** Ids of a word's symbols; a word is not empty. */
  readonly encodeWord: (word: string) => readonly number[];
};

const wordEnd = "</w>";
/** CLIP takes so many of its file's lines, which has more; with the bytes' symbols, start and end they make 49,408. */
const mostMerges = 49_152 - 256 - 2;
const printable = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
] as const;

/** Reads a merges file: two symbols a line, after a line with `#version`, if there is one. A line that is none is MODEL_INVALID. */
export function bytePairs(mergesText: string): BytePairs {
  const symbols = byteSymbols();
  const order = [...symbols.toSorted((left, right) => left.rank - right.rank)].map(({ symbol }) => symbol);
  const ids = new Map([...order, ...order.map((symbol) => symbol + wordEnd)].map((symbol, id) => [symbol, id]));
  const ranks = readMerges(mergesText, ids);
  for (const special of [startOfText, endOfText]) ids.set(special, ids.size);
  const encoder = new TextEncoder();
  const encodeWord = (word: string): readonly number[] => {
    const parts = Array.from(encoder.encode(word), (byte) => symbols[byte]?.symbol ?? "");
    parts.push((parts.pop() ?? "") + wordEnd);
    return merged(parts, ranks).map((symbol) => ids.get(symbol) ?? NaN);
  };
  return { ids, encodeWord };
}

type ByteSymbol = { readonly symbol: string; readonly rank: number };

/** By byte. Printable ones stand for themselves and come first; the others get the characters from U+0100 on. */
function byteSymbols(): readonly ByteSymbol[] {
  const isPrintable = (byte: number): boolean => printable.some(([first, last]) => byte >= first && byte <= last);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const order = [...bytes.filter(isPrintable), ...bytes.filter((byte) => !isPrintable(byte))];
  const others = bytes.filter((byte) => !isPrintable(byte));
  return bytes.map((byte) => ({
    symbol: String.fromCodePoint(isPrintable(byte) ? byte : 256 + others.indexOf(byte)),
    rank: order.indexOf(byte),
  }));
}

/** Pair → rank; adds what each pair becomes to the ids. */
function readMerges(text: string, ids: Map<string, number>): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  text.split("\n").forEach((line, index) => {
    const isComment = index === 0 && line.includes("#version");
    if (isComment || line.trim() === "" || ranks.size >= mostMerges) return;
    const [first = "", second = "", ...rest] = line.trim().split(" ");
    if (rest.length > 0 || !ids.has(first) || !ids.has(second) || ids.has(first + second)) {
      throw new FarmError("MODEL_INVALID", {
        message: `line ${index + 1} of the tokenizer's merges is no pair of known symbols that makes a new one`,
      });
    }
    ranks.set(`${first} ${second}`, ranks.size);
    ids.set(first + second, ids.size);
  });
  return ranks;
}

/** Joins the pair of the lowest rank everywhere, from the left, until none is left. */
function merged(parts: readonly string[], ranks: ReadonlyMap<string, number>): readonly string[] {
  let word = parts;
  for (;;) {
    const pair = lowestPair(word, ranks);
    if (pair === undefined) return word;
    const next: string[] = [];
    for (let index = 0; index < word.length; index += 1) {
      const part = word[index] ?? "";
      const following = word[index + 1];
      const isPair = following !== undefined && `${part} ${following}` === pair;
      next.push(isPair ? part + following : part);
      if (isPair) index += 1;
    }
    word = next;
  }
}

function lowestPair(word: readonly string[], ranks: ReadonlyMap<string, number>): string | undefined {
  let lowest = Infinity;
  let found: string | undefined;
  for (let index = 0; index + 1 < word.length; index += 1) {
    const pair = `${word[index] ?? ""} ${word[index + 1] ?? ""}`;
    const rank = ranks.get(pair) ?? Infinity;
    if (rank >= lowest) continue;
    lowest = rank;
    found = pair;
  }
  return found;
}
