/**
 * A SentencePiece unigram model: text → pieces, piece → id (sentencepiece_processor.cc of 0.2.3).
 *
 * Pieces are strings, because T5's tokenizer looks them up again: a run of unknown characters may then be another piece's name.
 */
import { normalizer, type NormalizerSpec } from "./normalizer.ts";
import { pieceTrie } from "./piece-trie.ts";
import { bestSpans, type Vocabulary } from "./unigram.ts";

/** Of ModelProto.SentencePiece.Type, those that may be in a text. */
const PIECE_TYPES = { normal: 1, userDefined: 4, unused: 5 } as const;

export type Piece = {
  readonly text: string;
  readonly score: number;
  /** As ModelProto.SentencePiece.Type numbers them. */
  readonly type: number;
};

export type SentencePieceSpec = {
  /** By id. */
  readonly pieces: readonly Piece[];
  /** The piece for unknown characters. */
  readonly unkId: number;
  readonly normalizer: NormalizerSpec;
  /** Unknown characters become the pieces of their bytes. */
  readonly byteFallback: boolean;
};

export type SentencePiece = {
  encode(text: string): readonly string[];
  pieceToId(piece: string): number;
};

/** How far an unknown character is below the least likely piece. */
const UNKNOWN_PENALTY = 10;

/** Builds the unigram segmenter of a tokenizer file: normalization, then the most likely pieces. */
export function sentencePiece(spec: SentencePieceSpec): SentencePiece {
  const { pieces, unkId } = spec;
  const ids = pieceIds(pieces);
  const vocabulary = vocabularyOf(pieces, unkId);
  const symbols = pieces.filter(({ type }) => type === PIECE_TYPES.userDefined).map(({ text }) => text);
  const normalize = normalizer(spec.normalizer, symbols);
  const encoder = new TextEncoder();
  return {
    encode: (text) => encode(normalize(encoder.encode(text)), vocabulary, spec.byteFallback),
    pieceToId: (piece) => ids.get(piece) ?? unkId,
  };
}

/** Control, byte and unknown pieces have precedence over others of the same name. */
function pieceIds(pieces: readonly Piece[]): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  pieces.forEach((piece, id) => {
    if (!isInText(piece) || !ids.has(piece.text)) ids.set(piece.text, id);
  });
  return ids;
}

function vocabularyOf(pieces: readonly Piece[], unkId: number): Vocabulary {
  const inText = pieces.flatMap((piece, id) => (isInText(piece) ? [[piece.text, id] as const] : []));
  const lowest = pieces.reduce((least, { type, score }) => (type === PIECE_TYPES.normal ? Math.min(least, score) : least), Infinity);
  return {
    trie: pieceTrie(inText),
    unkId,
    scores: Float32Array.from(pieces, ({ score }) => score),
    isUnused: (id) => pieces[id]?.type === PIECE_TYPES.unused,
    isUserDefined: (id) => pieces[id]?.type === PIECE_TYPES.userDefined,
    unknownScore: Math.fround(lowest - UNKNOWN_PENALTY),
  };
}

function isInText({ text, type }: Piece): boolean {
  const isUsual = type === PIECE_TYPES.normal || type === PIECE_TYPES.userDefined || type === PIECE_TYPES.unused;
  return isUsual && text !== "\0";
}

/** Neighbouring unknown characters become one piece, or each the pieces of its bytes. */
function encode(normalized: Uint8Array, vocabulary: Vocabulary, byteFallback: boolean): readonly string[] {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const out: string[] = [];
  let isAfterUnknown = false;
  for (const { start, end, id } of bestSpans(normalized, vocabulary)) {
    const bytes = normalized.subarray(start, end);
    const isUnknown = id === vocabulary.unkId;
    if (isUnknown && byteFallback) out.push(...Array.from(bytes, bytePiece));
    else if (isUnknown && isAfterUnknown) out.push((out.pop() ?? "") + decoder.decode(bytes));
    else out.push(decoder.decode(bytes));
    isAfterUnknown = isUnknown;
  }
  return out;
}

const bytePiece = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
