/**
 * Prompt → token ids, as the reference's slow T5Tokenizer gives them (pipeline_cogvideox_image2video_mot.py:236-243: padding to the full length,
 * truncation, special tokens): equal ids on the golden prompts.
 *
 * Truncation keeps the end token last; the model attends to padding too, so the length is always the full one.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { FarmError } from "../../domain/errors.ts";
import { int64, type Int64Tensor } from "../../domain/tensors/tensor.ts";
import type { Engine, ModelManifest } from "../../platform/models/manifest.ts";

export type EncodedPrompt = {
  /** int64 [1,L], padded or cut to L. */
  readonly ids: Int64Tensor;
  /** Tokens of the whole prompt with its end token. */
  readonly tokens: number;
  readonly isTruncated: boolean;
};

export type PromptTokenizer = { encode(prompt: string): EncodedPrompt };

/** What is used of the library; its own declarations do not resolve under Node's module rules. */
type TextTokenizer = { encode(text: string): { readonly ids: readonly number[] } };
type TextTokenizerConstructor = new (tokenizer: object, config: object) => TextTokenizer;

/** Reads the model's tokenizer.json, which must be the file that the text engine's digest covers. */
export async function openTokenizer(manifest: ModelManifest, textEngine: Engine): Promise<PromptTokenizer> {
  const path = join(manifest.folder, manifest.tokenizer);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `${path} cannot be read`, cause });
  });
  const expected = textEngine.constants["tokenizer_sha256"];
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== expected) throw new FarmError("MODEL_INVALID", { message: `${path} has SHA-256 ${sha256}, expected ${String(expected)}` });
  const Library = Tokenizer as unknown as TextTokenizerConstructor;
  const tokenizer = new Library(JSON.parse(bytes.toString("utf8")) as object, {});
  return { encode: (prompt) => fit(tokenizer.encode(prompt).ids, manifest.text) };
}

/** `ids` end with the end token, which the tokenizer's post-processor appends. */
function fit(ids: readonly number[], text: ModelManifest["text"]): EncodedPrompt {
  const isTruncated = ids.length > text.maxTokens;
  const kept = isTruncated ? [...ids.slice(0, text.maxTokens - 1), text.eosId] : ids;
  const padded = new BigInt64Array(text.maxTokens).fill(BigInt(text.padId));
  kept.forEach((id, index) => {
    padded[index] = BigInt(id);
  });
  return { ids: int64([1, text.maxTokens], padded), tokens: ids.length, isTruncated };
}
