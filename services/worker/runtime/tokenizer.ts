/**
 * Prompt → token ids and attention mask, as the reference's tokenizer call gives them: the slow T5Tokenizer with padding to the full length,
 * truncation and special tokens (pipeline_cogvideox_image2video_mot.py:236-243, pipeline_wan_i2v_mot.py:197-209), on Wan after its cleaning.
 *
 * The length is always the full one: CogVideoX attends to padding too, Wan zeroes what the mask leaves out.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { int64, type Int64Tensor } from "../../domain/tensors/tensor.ts";
import type { FittedIds } from "../../domain/text/t5/t5-tokenizer.ts";
import { promptCleanings } from "../../domain/text/prompt-cleaning.ts";
import type { Engine, ModelManifest } from "../../platform/models/manifest.ts";
import { parseTokenizerFile } from "./tokenizer-file.ts";

export type EncodedPrompt = {
  /** int64 [1,L], padded or cut to L. */
  readonly ids: Int64Tensor;
  /** int64 [1,L]: 1 where `ids` are tokens of the prompt, 0 on padding. */
  readonly mask: Int64Tensor;
  /** Tokens of the whole prompt with its end token. */
  readonly tokens: number;
  readonly isTruncated: boolean;
};

export type PromptTokenizer = { encode(prompt: string): EncodedPrompt };

/** Reads the model's tokenizer.json, which must be the file that the text engine's digest covers. */
export async function openTokenizer(manifest: ModelManifest, textEngine: Engine): Promise<PromptTokenizer> {
  const path = join(manifest.folder, manifest.tokenizer);
  const { tokenizer, padId, eosId } = parseTokenizerFile(await readChecked(path, textEngine), path);
  const { text } = manifest;
  if (padId !== text.padId || eosId !== text.eosId) {
    throw new FarmError("MODEL_INVALID", { message: `${path} pads with ${padId} and ends with ${eosId}, farm.json says otherwise` });
  }
  const clean = promptCleanings[text.cleaning];
  return { encode: (prompt) => padded(tokenizer.encodeFor(clean(prompt), text.maxTokens), text) };
}

async function readChecked(path: string, textEngine: Engine): Promise<Uint8Array> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `${path} cannot be read`, cause });
  });
  const expected = textEngine.constants["tokenizer_sha256"];
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== expected) throw new FarmError("MODEL_INVALID", { message: `${path} has SHA-256 ${sha256}, expected ${String(expected)}` });
  return bytes;
}

function padded({ ids, tokens, isTruncated }: FittedIds, { maxTokens, padId }: ModelManifest["text"]): EncodedPrompt {
  const full = new BigInt64Array(maxTokens).fill(BigInt(padId));
  full.set(ids.map(BigInt));
  const mask = new BigInt64Array(maxTokens).fill(1n, 0, ids.length);
  return { ids: int64([1, maxTokens], full), mask: int64([1, maxTokens], mask), tokens, isTruncated };
}
