/**
 * test/fixtures/text: strings, and what the reference's Python makes of them (exporter/tests/make_text_fixtures.py).
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parseTokenizerFile } from "../../services/worker/runtime/tokenizer-file.ts";
import type { T5Tokenizer } from "../../services/domain/text/t5/t5-tokenizer.ts";

/** Ids in clear for the first strings, their digest for the others. */
type Ids = readonly number[] | string;

export type TextCase = { readonly text: string; readonly cleaned: string; readonly t5: Ids; readonly wan: Ids };

const fixture = (path: string): URL => new URL(`../fixtures/text/${path}`, import.meta.url);
const readJson = (path: string): unknown => JSON.parse(readFileSync(fixture(path), "utf8"));

/** The 10,000 strings. */
export function textCases(): readonly TextCase[] {
  const lines = gunzipSync(readFileSync(fixture("cases.jsonl.gz")))
    .toString("utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => {
    const [text, cleaned, t5, wan] = JSON.parse(line) as [string, string | null, Ids, Ids];
    return { text, cleaned: cleaned ?? text, t5, wan };
  });
}

/** `ids` in the form that `expected` has. */
export function likeExpected(ids: readonly number[], expected: Ids): Ids {
  return typeof expected === "string" ? createHash("sha256").update(ids.join(",")).digest("hex").slice(0, 12) : ids;
}

/** Strings of ftfy's own documentation and tests, and what it makes of them. */
export function ftfyCases(): readonly { readonly text: string; readonly fixed: string }[] {
  return readJson("ftfy-cases.json") as readonly { readonly text: string; readonly fixed: string }[];
}

/** Ids of texts by a model with other settings, cut to 64. */
export function modelCases(model: string): readonly (readonly [text: string, ids: readonly number[]])[] {
  return readJson(`models/${model}/cases.json`) as readonly (readonly [string, readonly number[]])[];
}

/** A tokenizer.json of the fixtures, or the demo model's. */
export function openTokenizerFile(path: string): T5Tokenizer {
  const url = path === "demo" ? new URL("../../models/demo/tokenizer.json", import.meta.url) : fixture(path);
  return parseTokenizerFile(readFileSync(url), url.pathname).tokenizer;
}
