/**
 * tokenizer.json of a model repository, format `vapfarm-sentencepiece-1`: a SentencePiece unigram model and T5's added tokens. The exporter
 * describes and writes it (exporter/vapfarm_exporter/tokenizer.py).
 */
import { z } from "zod";
import { FarmError } from "../../domain/errors.ts";
import { t5Tokenizer, type T5Spec, type T5Tokenizer } from "../../domain/text/t5/t5-tokenizer.ts";

const id = z.number().int().nonnegative();
const PIECE_TYPES = 6;

const fileSchema = z
  .object({
    format: z.literal("vapfarm-sentencepiece-1"),
    pad_id: id,
    eos_id: id,
    unk_id: id,
    unk_token: z.string().min(1),
    legacy: z.boolean(),
    add_prefix_space: z.boolean(),
    byte_fallback: z.boolean(),
    normalizer: z.object({
      charsmap: z.base64(),
      add_dummy_prefix: z.boolean(),
      remove_extra_whitespaces: z.boolean(),
      escape_whitespaces: z.boolean(),
      treat_whitespace_as_suffix: z.boolean(),
    }),
    added_tokens: z.array(
      z.object({
        id,
        content: z.string().min(1),
        lstrip: z.boolean(),
        rstrip: z.boolean(),
        single_word: z.boolean(),
        special: z.boolean(),
      }),
    ),
    pieces: z.array(z.tuple([z.string().min(1), z.number(), z.number().int().min(1).max(PIECE_TYPES)])).min(1),
  })
  .refine(({ unk_id, pieces }) => unk_id < pieces.length, "unk_id is no piece");

type FileJson = z.output<typeof fileSchema>;

export type TokenizerFile = { readonly tokenizer: T5Tokenizer; readonly padId: number; readonly eosId: number };

/** Reads the file's bytes; MODEL_INVALID names `path` and the reason. */
export function parseTokenizerFile(bytes: Uint8Array, path: string): TokenizerFile {
  const json = fileSchema.safeParse(parseJson(bytes, path));
  if (!json.success) throw invalid(path, z.prettifyError(json.error));
  try {
    return { tokenizer: t5Tokenizer(t5Spec(json.data)), padId: json.data.pad_id, eosId: json.data.eos_id };
  } catch (cause) {
    throw invalid(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function t5Spec(file: FileJson): T5Spec {
  const { normalizer } = file;
  return {
    sentencePiece: {
      pieces: file.pieces.map(([text, score, type]) => ({ text, score, type })),
      unkId: file.unk_id,
      byteFallback: file.byte_fallback,
      normalizer: {
        charsmap: Buffer.from(normalizer.charsmap, "base64"),
        addDummyPrefix: normalizer.add_dummy_prefix,
        removeExtraWhitespaces: normalizer.remove_extra_whitespaces,
        escapeWhitespaces: normalizer.escape_whitespaces,
        treatWhitespaceAsSuffix: normalizer.treat_whitespace_as_suffix,
      },
    },
    addedTokens: file.added_tokens.map(addedToken),
    isLegacy: file.legacy,
    addsPrefixSpace: file.add_prefix_space,
    unkToken: file.unk_token,
    eosId: file.eos_id,
  };
}

function addedToken(token: FileJson["added_tokens"][number]): T5Spec["addedTokens"][number] {
  const { lstrip: stripsBefore, rstrip: stripsAfter, single_word: isSingleWord, special: isSpecial } = token;
  return { id: token.id, content: token.content, stripsBefore, stripsAfter, isSingleWord, isSpecial };
}

function parseJson(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    throw invalid(path, "not JSON", cause);
  }
}

function invalid(path: string, reason: string, cause?: unknown): FarmError {
  return new FarmError("MODEL_INVALID", { message: `${path}: ${reason}`, cause });
}
