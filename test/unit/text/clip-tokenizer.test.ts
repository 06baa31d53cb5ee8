import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clipTokenizer } from "../../../services/domain/text/clip/clip-tokenizer.ts";

type TokenCases = {
  readonly vocabulary: number;
  readonly cases: readonly { readonly text: string; readonly ids: readonly number[] }[];
  readonly contexts: readonly {
    readonly text: string;
    readonly context: number;
    readonly ids: readonly number[];
    readonly tokens: number;
  }[];
};

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/vbench/${name}`, import.meta.url), "utf8");
const merges = fixture("clip-merges.txt");
const { vocabulary, cases, contexts } = JSON.parse(fixture("clip-tokens.json")) as TokenCases;
const tokenizer = clipTokenizer(merges);
const startId = vocabulary - 2;
const endId = vocabulary - 1;

describe("CLIP's tokenizer", () => {
  test.each(cases)("gives the reference's ids for $text", ({ text, ids }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
  });

  test.each(contexts)("fits a text to a context of $context", ({ text, context, ids, tokens }) => {
    expect(tokenizer.tokenize(text, context)).toEqual({ ids, tokens, isTruncated: tokens > context });
  });

  test("has symbols for bytes, for bytes at a word's end, for merges, for start and end", () => {
    expect(tokenizer.vocabularySize).toBe(vocabulary);
    expect(clipTokenizer("").vocabularySize).toBe(256 + 256 + 2);
    // "!" is the first byte symbol; bytes that are not printable come last, in their order.
    expect(clipTokenizer("").encode("a!")).toEqual([256 + 64, 256]);
    expect(clipTokenizer("").encode("é")).toEqual(["Ã", "©"].map((symbol, index) => index * 256 + byteRank(symbol.charCodeAt(0))));
  });

  test("ends every context with the end and zeros, and starts it with the start", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 120 }), fc.constantFrom(77, 32, 2), (text, context) => {
        const { ids, tokens, isTruncated } = tokenizer.tokenize(text, context);
        expect(ids).toHaveLength(context);
        expect(isTruncated).toBe(tokens > context);
        const used = Math.min(tokens, context);
        expect([ids[0], ids[used - 1]]).toEqual([startId, endId]);
        expect(ids.slice(used).every((id) => id === 0)).toBe(true);
        expect(ids.every((id) => Number.isSafeInteger(id) && id >= 0 && id < vocabulary)).toBe(true);
      }),
    );
  });

  test("takes a merges file with its first line or without, and 48,894 merges of it at most", () => {
    const letters = Array.from({ length: 94 + 12 + 82 }, (_, rank) =>
      String.fromCharCode(rank < 94 ? 0x21 + rank : rank < 106 ? 0xa1 + rank - 94 : 0xae + rank - 106),
    );
    const two = letters.flatMap((left) => letters.map((right) => `${left} ${right}`));
    const three = letters.flatMap((left) => letters.map((right) => `${left}${right} !`));
    const many = [...two, ...three];
    expect(many.length).toBeGreaterThan(48_894);
    expect(clipTokenizer(many.join("\n")).vocabularySize).toBe(49_408);
    expect(clipTokenizer(merges.slice(merges.indexOf("\n") + 1)).encode("the camera")).toEqual(tokenizer.encode("the camera"));
  });

  test("refuses a merges file with a line that is no pair, and a context without room", () => {
    expect(() => clipTokenizer("a b\nab c\nabd")).toThrow(/line 3/);
    expect(() => clipTokenizer("ab c")).toThrow(/line 1/);
    expect(() => clipTokenizer("a b\na b")).toThrow(/line 2/);
    expect(() => tokenizer.tokenize("a", 1)).toThrow(/no room/);
  });
});

/** Place of a printable Latin-1 character among the byte symbols. */
function byteRank(code: number): number {
  if (code <= 0x7e) return code - 0x21;
  return code <= 0xac ? code - 0xa1 + 94 : code - 0xae + 106;
}
