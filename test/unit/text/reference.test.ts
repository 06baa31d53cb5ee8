/**
 * Equality with the reference's Python, on what exporter/tests/make_text_fixtures.py wrote.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fixText } from "../../../services/domain/text/ftfy/fix-text.ts";
import { cleanWanPrompt } from "../../../services/domain/text/wan-prompt.ts";
import { ftfyCases, likeExpected, modelCases, openTokenizerFile, textCases } from "../../support/text-fixtures.ts";

const T5_LENGTH = 226;
const UMT5_LENGTH = 512;

describe("10,000 strings", () => {
  const cases = textCases();
  const tokenizer = openTokenizerFile("demo");

  it("are different ones, thousands of which cleaning changes", () => {
    expect(new Set(cases.map(({ text }) => text)).size).toBe(10_000);
    expect(cases.filter(({ text, cleaned }) => text !== cleaned).length).toBeGreaterThan(5_000);
  });

  it("are cleaned for Wan as Python cleans them", () => {
    const wrong = cases.filter(({ text, cleaned }) => cleanWanPrompt(text) !== cleaned);
    expect(wrong.map(({ text, cleaned }) => ({ text, cleaned, got: cleanWanPrompt(text) }))).toEqual([]);
  });

  it("have T5's ids without cleaning", () => {
    const wrong = cases.map(({ text, t5 }) => ({ text, t5, got: likeExpected(tokenizer.encodeFor(text, T5_LENGTH).ids, t5) }));
    expect(wrong.filter(({ t5, got }) => t5.toString() !== got.toString())).toEqual([]);
  });

  it("have UMT5's ids after cleaning", () => {
    const wrong = cases.map(({ text, wan }) => ({
      text,
      wan,
      got: likeExpected(tokenizer.encodeFor(cleanWanPrompt(text), UMT5_LENGTH).ids, wan),
    }));
    expect(wrong.filter(({ wan, got }) => wan.toString() !== got.toString())).toEqual([]);
  });
});

describe("ftfy's own examples", () => {
  it.each(ftfyCases())("are fixed as it fixes them: $text", ({ text, fixed }) => {
    expect(fixText(text)).toBe(fixed);
  });
});

describe("SentencePiece models with other settings", () => {
  it.each(["like-umt5", "other-flags"])("give the ids that SentencePiece and transformers give: %s", (model) => {
    const tokenizer = openTokenizerFile(`models/${model}/tokenizer.json`);
    const wrong = modelCases(model).filter(([text, ids]) => tokenizer.encodeFor(text, 64).ids.toString() !== ids.toString());
    expect(wrong).toEqual([]);
  });
});

describe("awkward text", () => {
  it.each(["../golden/t5-tokenizer-cases.json", "../tokenizer/tricky.json"])("has the slow tokenizer's ids: %s", (path) => {
    const tokenizer = openTokenizerFile("demo");
    const cases = JSON.parse(readFileSync(new URL(`../../fixtures/text/${path}`, import.meta.url), "utf8")) as readonly {
      readonly text: string;
      readonly ids: readonly number[];
    }[];
    for (const { text, ids } of cases) expect(tokenizer.encodeFor(text, T5_LENGTH).ids, text).toEqual(ids);
  });
});
