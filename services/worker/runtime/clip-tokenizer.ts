/**
 * Prompt → token ids for text networks of CLIP's kind, from the merges file that the engine's digest covers.
 */
import { FarmError } from "../../domain/errors.ts";
import { int64, type Int64Tensor } from "../../domain/tensors/tensor.ts";
import { clipTokenizer } from "../../domain/text/clip/clip-tokenizer.ts";
import type { Engine } from "../../platform/models/manifest.ts";

export type ClipPromptTokenizer = {
  /** int64 [1,context]: begin, tokens, end, zeros; of a long prompt the last is the end all the same. */
  encode(prompt: string): { readonly ids: Int64Tensor; readonly tokens: number; readonly isTruncated: boolean };
};

/** A tokenizer over a merges file's bytes, for the context that the engine was exported with. */
export function openClipTokenizer(engine: Engine, merges: Uint8Array): ClipPromptTokenizer {
  const { context } = engine.constants;
  if (typeof context !== "number" || !Number.isInteger(context) || context < 2) {
    throw new FarmError("MODEL_INVALID", { message: `engine ${engine.name} does not say its context` });
  }
  const tokenizer = clipTokenizer(new TextDecoder("utf-8", { fatal: true }).decode(merges));
  return {
    encode(prompt) {
      const { ids, tokens, isTruncated } = tokenizer.tokenize(prompt, context);
      return { ids: int64([1, context], BigInt64Array.from(ids, BigInt)), tokens, isTruncated };
    },
  };
}
