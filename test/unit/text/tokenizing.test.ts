import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCharsmap } from "../../../services/domain/text/sentencepiece/charsmap.ts";
import { pieceTrie } from "../../../services/domain/text/sentencepiece/piece-trie.ts";
import { bestSpans } from "../../../services/domain/text/sentencepiece/unigram.ts";
import { tokenTrie } from "../../../services/domain/text/t5/token-trie.ts";
import { openTokenizerFile } from "../../support/text-fixtures.ts";

const EOS = 1;

describe("T5's ids", () => {
  const tokenizer = openTokenizerFile("demo");
  const long = "long ".repeat(400);

  it("are cut with the end token last", () => {
    const whole = tokenizer.encode(long);
    const { ids, tokens, isTruncated } = tokenizer.encodeFor(long, 226);
    expect(ids).toEqual([...whole.slice(0, 225), EOS]);
    expect([tokens, isTruncated]).toEqual([whole.length + 1, true]);
  });

  it("get no second end token where the text ends in it", () => {
    expect(tokenizer.encode("x </s>").at(-1)).toBe(EOS);
    expect(tokenizer.encodeFor("x </s>", 226).ids.filter((id) => id === EOS).length).toBe(1);
    expect(tokenizer.encodeFor("</s> x", 226).ids.filter((id) => id === EOS).length).toBe(2);
  });

  it("are one fewer where an end token in the text is the last that has room", () => {
    const text = `${"<pad>".repeat(224)}</s>${"<pad>".repeat(10)}`;
    expect(tokenizer.encodeFor(text, 226)).toMatchObject({ ids: [...new Array<number>(224).fill(0), EOS], isTruncated: true });
  });

  it("fill the length exactly without being cut", () => {
    const { ids, tokens, isTruncated } = tokenizer.encodeFor("<pad>".repeat(225), 226);
    expect([ids.length, tokens, isTruncated]).toEqual([226, 226, false]);
  });

  it("are never more than fit, for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 2, max: 40 }), (text, length) => {
        const { ids, tokens, isTruncated } = tokenizer.encodeFor(text, length);
        expect(ids.length).toBeLessThanOrEqual(length);
        expect(ids.at(-1)).toBe(EOS);
        expect(isTruncated).toBe(tokens > length);
      }),
    );
  });

  it("of a million characters outlast float32", () => {
    // The score of 600,000 unknown characters is beyond what float32 can tell apart, so it is counted anew on the way.
    const once = tokenizer.encode("日 cat ");
    expect(tokenizer.encode("日 cat ".repeat(150_000)).length).toBe(150_000 * once.length);
  });
});

describe("splitting at tokens", () => {
  it.each([
    [["[CLS]", "extra_1", "extra_100"], "[CLS] a extra_100", ["[CLS]", " a ", "extra_100"]],
    [["A", "ABC"], "xABCy", ["x", "ABC", "y"]],
    [["ABC", "B"], "ABD", ["A", "B", "D"]],
    [["ABCD", "BC"], "ABCE", ["A", "BC", "E"]],
    [["😀", "😀😀"], "😀😀😀", ["😀😀", "😀"]],
    [["ab"], "", []],
    [[""], "ab", ["ab"]],
    [["aab", "ab"], "aaab", ["a", "aab"]],
  ])("%j in %j", (tokens, text, parts) => {
    expect(tokenTrie(tokens).split(text)).toEqual(parts);
  });

  it("loses and invents nothing", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c", "é"), maxLength: 20 });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 6 }), letters, (tokens, text) => {
        const parts = tokenTrie(tokens).split(text);
        expect(parts.join("")).toBe(text);
        expect(parts).not.toContain("");
      }),
    );
  });
});

describe("the unigram model", () => {
  const UNK = 99;
  const pieces = ["a", "b", "ab", "ba", "aab", "é", "abé", "c"];
  const scores = [-1.5, -2.25, -2.5, -3, -3.5, -1, -2.75, -9];
  const vocabulary = {
    trie: pieceTrie(pieces.map((piece, id) => [piece, id])),
    unkId: UNK,
    scores: Float32Array.from(scores),
    isUnused: (id: number) => id === 7,
    isUserDefined: () => false,
    unknownScore: -19,
  };
  const scoreOf = (id: number): number => (id === UNK ? -19 : (scores[id] ?? NaN));

  it("finds a way of the best score, which covers the text", () => {
    const best = (text: string): number => {
      if (text === "") return 0;
      const [first = ""] = text;
      const known = pieces.flatMap((piece, id) =>
        id !== 7 && text.startsWith(piece) ? [scoreOf(id) + best(text.slice(piece.length))] : [],
      );
      return Math.max(...known, ...("abé".includes(first) ? [] : [-19 + best(text.slice(first.length))]));
    };
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "b", "é", "c", "😀"), maxLength: 8 }), (text) => {
        const bytes = new TextEncoder().encode(text);
        const spans = bestSpans(bytes, vocabulary);
        expect(spans.reduce((sum, { id }) => sum + scoreOf(id), 0)).toBe(best(text));
        expect(spans.map(({ end }) => end)).toEqual([...spans.slice(1).map(({ start }) => start), ...(text === "" ? [] : [bytes.length])]);
      }),
    );
  });
});

describe("a character map", () => {
  it("is refused when its sizes do not fit", () => {
    for (const bytes of [[1], [4, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0, 0, 65]]) {
      expect(() => readCharsmap(Uint8Array.from(bytes))).toThrow(expect.objectContaining({ code: "MODEL_INVALID" }));
    }
  });

  it("that leads nowhere replaces nothing", () => {
    const map = readCharsmap(Uint8Array.from([4, 0, 0, 0, 255, 255, 255, 255, 0]));
    expect(map.replace(Uint8Array.of(65, 66), 0)).toBeUndefined();
  });
});
