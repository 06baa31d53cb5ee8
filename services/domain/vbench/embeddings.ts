/**
 * Cosines of embeddings as torch takes them (F.normalize with eps 1e-12, F.cosine_similarity with eps 1e-8), in float64 where torch has float32:
 * that differs by less than 1e-7 per pair.
 */
import { FarmError } from "../errors.ts";
import { firstNotFinite } from "./metric.ts";

const normalizeEpsilon = 1e-12;
const cosineEpsilon = 1e-8;

/** x / max(‖x‖, 1e-12). */
export function normalize(embedding: ArrayLike<number>): Float64Array {
  const norm = Math.max(Math.sqrt(dot(embedding, embedding)), normalizeEpsilon);
  return Float64Array.from(embedding, (value) => value / norm);
}

/** Sum of products; embeddings of different lengths are STAGE_INPUT_INVALID. */
export function dot(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `embeddings of ${left.length} and ${right.length} values cannot be compared` });
  }
  let sum = 0;
  for (let index = 0; index < left.length; index += 1) sum += (left[index] ?? NaN) * (right[index] ?? NaN);
  return sum;
}

/** Cosine of two normalized embeddings: of zero ones it is 0. */
export function cosine(left: Float64Array, right: Float64Array): number {
  const norms = Math.max(Math.sqrt(dot(left, left)), cosineEpsilon) * Math.max(Math.sqrt(dot(right, right)), cosineEpsilon);
  return dot(left, right) / norms;
}

/** Python's max(0.0, x), which VBench takes of cosines: 0 also for NaN. */
export function positive(similarity: number): number {
  return similarity > 0 ? similarity : 0;
}

/** Says which value of an embedding is no number, or nothing. */
export function embeddingFault(embedding: ArrayLike<number>, what: string): string | undefined {
  const index = firstNotFinite(embedding);
  return index < 0 ? undefined : `value ${index} of the embedding of ${what} is no finite number`;
}
