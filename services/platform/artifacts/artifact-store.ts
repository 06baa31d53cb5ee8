/**
 * The port to wherever immutable bytes lie (design §8): put, get, stat, delete, no rename and no append, so that S3 fits.
 *
 * Invariants: an artifact is named by the SHA-256 of its bytes (hex); put is idempotent and stores nothing
 * under a name that the bytes do not have; a reader never sees half of an artifact. Rows in Postgres say
 * what may be there; the store only holds bytes.
 */

/** Half-open range of bytes. */
export type ByteRange = { readonly start: number; readonly end: number };

export type ArtifactStat = { readonly sizeBytes: number };

/** Every failure of the backend itself is ARTIFACT_STORE_UNAVAILABLE. */
export type ArtifactStore = {
  /** Stores a file's bytes under its hash; ARTIFACT_CORRUPT when they have another. Bytes that are there already are replaced. */
  put(sha256: string, path: string, signal?: AbortSignal): Promise<void>;
  /** Reads all or a range; ARTIFACT_MISSING when it is not there. */
  get(sha256: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  /** Undefined when it is not there. */
  stat(sha256: string): Promise<ArtifactStat | undefined>;
  /** Idempotent. */
  delete(sha256: string): Promise<void>;
  /** All that it holds, in any order; for recovering, which looks for what has no row. Undefined: the backend cannot say. */
  list?(): AsyncIterable<ArtifactStat & { readonly sha256: string }>;
};
