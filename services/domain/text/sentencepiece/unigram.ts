/**
 * The likeliest way to write a text in pieces, as SentencePiece's unigram model finds it (unigram_model.cc of 0.2.3, EncodeOptimized): Viterbi over
 * the bytes of UTF-8. Scores are added in float32 and the first of equals wins, as there.
 */
import { characterLength } from "./normalizer.ts";
import type { PieceTrie } from "./piece-trie.ts";

export type Vocabulary = {
  /** Pieces that may be in a text → ids. */
  readonly trie: PieceTrie;
  readonly unkId: number;
  /** By id. */
  readonly scores: Float32Array;
  readonly isUnused: (id: number) => boolean;
  readonly isUserDefined: (id: number) => boolean;
  /** Of a character that no piece has. */
  readonly unknownScore: number;
};

/** Bytes from `start` to `end` as the piece `id`. */
export type Span = { readonly start: number; readonly end: number; readonly id: number };

/** For each place in the text: the best piece that ends there, where it starts (−1: none does), and the score until there. */
type Paths = { readonly ids: Int32Array; readonly starts: Int32Array; readonly scores: Float32Array };

/** Scores are counted from here anew when they get too large for float32 to tell pieces apart. */
const LARGEST_SCORE = 100_000;

/** Pieces of the whole of `text`, in order. */
export function bestSpans(text: Uint8Array, vocabulary: Vocabulary): readonly Span[] {
  const length = text.length + 1;
  const paths = { ids: new Int32Array(length), starts: new Int32Array(length).fill(-1), scores: new Float32Array(length) };
  for (let start = 0, reached = 0; start < text.length; start += characterLength(text[start] ?? 0)) {
    keepSmall(paths, start, reached);
    reached = Math.max(reached, extend(text, vocabulary, { paths, start }));
  }
  return backwards(paths, text.length);
}

/** Every piece that begins at `start`, and an unknown character if no piece is just that character; where the longest ends. */
function extend(text: Uint8Array, vocabulary: Vocabulary, { paths, start }: { readonly paths: Paths; readonly start: number }): number {
  const { trie, scores, unkId, unknownScore } = vocabulary;
  const characterEnd = Math.min(start + characterLength(text[start] ?? 0), text.length);
  let isCharacterKnown = false;
  let reached = 0;
  for (let at = start, node = 0; at < text.length; at += 1) {
    node = trie.next(node, text[at] ?? 0);
    if (node < 0) break;
    const id = trie.valueAt(node);
    if (id < 0 || vocabulary.isUnused(id)) continue;
    const score = vocabulary.isUserDefined(id) ? Math.fround(0.1 * (at - start)) : (scores[id] ?? 0);
    improve(paths, { start, end: at + 1, id }, score);
    reached = at + 1;
    isCharacterKnown ||= reached === characterEnd;
  }
  if (isCharacterKnown) return reached;
  improve(paths, { start, end: characterEnd, id: unkId }, unknownScore);
  return Math.max(reached, characterEnd);
}

function improve({ ids, starts, scores }: Paths, { start, end, id }: Span, score: number): void {
  const candidate = Math.fround(score + (scores[start] ?? 0));
  if (starts[end] !== -1 && candidate <= (scores[end] ?? 0)) return;
  scores[end] = candidate;
  starts[end] = start;
  ids[end] = id;
}

function keepSmall({ starts, scores }: Paths, start: number, reached: number): void {
  const offset = scores[start] ?? 0;
  if (Math.abs(offset) <= LARGEST_SCORE) return;
  for (let at = start; at <= reached; at += 1) {
    if (at === start || starts[at] !== -1) scores[at] = (scores[at] ?? 0) - offset;
  }
}

function backwards({ ids, starts }: Paths, length: number): readonly Span[] {
  const spans: Span[] = [];
  for (let end = length; end > 0;) {
    const start = starts[end] ?? 0;
    spans.push({ start, end, id: ids[end] ?? 0 });
    end = start;
  }
  return spans.reverse();
}
