/**
 * transformers' slow T5Tokenizer (4.57; also UMT5's): text is split at the added tokens, each part goes through SentencePiece, and the end token is
 * put after all of it.
 */
import { sentencePiece, type SentencePiece, type SentencePieceSpec } from "../sentencepiece/sentencepiece.ts";
import { stripEnd, stripStart } from "../white-space.ts";
import { tokenTrie, type TokenTrie } from "./token-trie.ts";

/** A token that is found in the text before SentencePiece sees it. */
export type AddedToken = {
  readonly id: number;
  readonly content: string;
  /** White space before and after it is removed. */
  readonly stripsBefore: boolean;
  readonly stripsAfter: boolean;
  /** Taken as a token only where a space, or nothing, is on both sides. */
  readonly isSingleWord: boolean;
  /** One of the tokenizer's special tokens by its configuration. */
  readonly isSpecial: boolean;
};

export type T5Spec = {
  readonly sentencePiece: SentencePieceSpec;
  readonly addedTokens: readonly AddedToken[];
  /** Before transformers 4.31, a part after a token got a space put before it; released T5 and UMT5 keep it so. */
  readonly isLegacy: boolean;
  /** Of a tokenizer that is not legacy: a space before the text. */
  readonly addsPrefixSpace: boolean;
  readonly unkToken: string;
  readonly eosId: number;
};

export type T5Tokenizer = {
  /** Ids of the text, without the end token. */
  encode(text: string): readonly number[];
  /** As the model gets them: at most `length`, the end token last unless the text ends in it itself. */
  encodeFor(text: string, length: number): FittedIds;
};

export type FittedIds = {
  readonly ids: readonly number[];
  /** Of the whole text with its end token. */
  readonly tokens: number;
  readonly isTruncated: boolean;
};

const SPACE_PIECE = "▁";

type Parts = {
  readonly spec: T5Spec;
  readonly pieces: SentencePiece;
  readonly added: ReadonlyMap<string, AddedToken>;
  readonly trie: TokenTrie;
};

/** Builds the slow tokenizer of T5 and UMT5 from what its files say; ids are those of transformers (decision 0008). */
export function t5Tokenizer(spec: T5Spec): T5Tokenizer {
  const { normalizer } = spec.sentencePiece;
  const addDummyPrefix = spec.isLegacy && normalizer.addDummyPrefix;
  const pieces = sentencePiece({ ...spec.sentencePiece, normalizer: { ...normalizer, addDummyPrefix } });
  const added = new Map(spec.addedTokens.map((token) => [token.content, token]));
  const parts: Parts = { spec, pieces, added, trie: tokenTrie(added.keys()) };
  const encode = (text: string): readonly number[] => tokenize(text, parts).map((token) => added.get(token)?.id ?? pieces.pieceToId(token));
  return { encode, encodeFor: (text, length) => fit(encode(text), length, spec.eosId) };
}

/** Cut to leave room for the end token, then that added: so a text that ends in it may be one shorter (PreTrainedTokenizerBase.prepare_for_model). */
function fit(ids: readonly number[], length: number, eosId: number): FittedIds {
  const kept = ids.length + 1 > length ? ids.slice(0, length - 1) : ids;
  const tokens = withEnd(ids, eosId).length;
  return { ids: withEnd(kept, eosId), tokens, isTruncated: tokens > length };
}

function withEnd(ids: readonly number[], eosId: number): readonly number[] {
  return ids.at(-1) === eosId ? ids : [...ids, eosId];
}

/** T5Tokenizer.tokenize. */
function tokenize(text: string, parts: Parts): readonly string[] {
  const { spec, added } = parts;
  if (spec.isLegacy || text === "") return tokenizeParts(text, parts);
  const spaced = text.replaceAll(SPACE_PIECE, " ");
  const tokens = tokenizeParts(spec.addsPrefixSpace ? SPACE_PIECE + spaced : spaced, parts);
  const [first, second] = tokens;
  const isSpaceBeforeSpecial = first === SPACE_PIECE && second !== undefined && added.get(second)?.isSpecial === true;
  return isSpaceBeforeSpecial ? tokens.slice(1) : tokens;
}

/** PreTrainedTokenizer.tokenize. */
function tokenizeParts(text: string, parts: Parts): readonly string[] {
  const split = [...parts.trie.split(text)];
  split.forEach((_, index) => applyFlags(split, index, parts.added));
  return split.filter((part) => part !== "").flatMap((part) => (parts.added.has(part) ? [part] : tokenizePart(part, parts)));
}

/** What the token at `index`, if it is one, does to its neighbours. */
function applyFlags(split: string[], index: number, added: ReadonlyMap<string, AddedToken>): void {
  const content = split[index] ?? "";
  const token = added.get(content);
  if (token === undefined) return;
  const before = split[index - 1] ?? "";
  const after = split[index + 1] ?? "";
  if (token.stripsAfter && after !== "") split[index + 1] = stripStart(after);
  if (token.stripsBefore && before !== "") split[index - 1] = stripEnd(before);
  if (!token.isSingleWord) return;
  if (before !== "" && !before.endsWith(" ")) {
    split[index - 1] = (split[index - 1] ?? "") + content;
    split[index] = "";
  } else if (after !== "" && !after.startsWith(" ")) {
    split[index + 1] = content + (split[index + 1] ?? "");
    split[index] = "";
  }
}

/** T5Tokenizer._tokenize: where it is not legacy, a space at the beginning is kept by an unknown token before it. */
function tokenizePart(text: string, { spec, pieces }: Parts): readonly string[] {
  if (spec.isLegacy || !(text.startsWith(SPACE_PIECE) || text.startsWith(" "))) return pieces.encode(text);
  const tokens = pieces.encode(spec.unkToken + text);
  const unknownLength = pieces.encode(spec.unkToken).length;
  return tokens.length >= unknownLength ? tokens.slice(unknownLength) : tokens;
}
