/**
 * The port to wherever immutable bytes lie (design §8): put, get, stat, delete, no rename and no append, so that S3 fits.
 *
 * Invariants: an artifact is named by the SHA-256 of its bytes (hex); put is idempotent and stores nothing
 * under a name that the bytes do not have; a reader never sees half of an artifact. Rows in Postgres say
 * what may be there; the store only holds bytes. Whoever reads all of an artifact hashes it (`checked`, `fetchToFile`): what lies in a
 * store may have been damaged there or on its way. Of a range, and of a presigned address, nothing tells.
 */

/** Half-open range of bytes. */
export type ByteRange = { readonly start: number; readonly end: number };

export type ArtifactStat = { readonly sizeBytes: number };

/** How a presigned address answers, and until when. */
export type PresignedLink = {
  readonly expiresMs: number;
  readonly fileName: string;
  readonly mediaType: string;
  readonly isShown: boolean;
};

/** Every failure of the backend itself is ARTIFACT_STORE_UNAVAILABLE; a name that is no hash is ARTIFACT_UNKNOWN. */
export type ArtifactStore = {
  /** What it is, for metrics and messages: `folder`, `s3`, `jetstream`. */
  readonly backend: string;
  /** Largest artifact that it takes, where it has a limit: a put of more is ARTIFACT_TOO_LARGE. */
  readonly mostBytes?: number;
  /** Stores a file's bytes under its hash; ARTIFACT_CORRUPT when they have another. Bytes that are there already are replaced. */
  put(sha256: string, path: string, signal?: AbortSignal): Promise<void>;
  /** Reads all or a range, which ends where the artifact does; ARTIFACT_MISSING when it is not there. The signal ends the reading too. */
  get(sha256: string, range?: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Undefined when it is not there. */
  stat(sha256: string): Promise<ArtifactStat | undefined>;
  /** Idempotent, and within seconds: its caller holds a row's lock. */
  delete(sha256: string): Promise<void>;
  /** All that it holds, in any order; for recovering, which looks for what has no row. Undefined: the backend cannot say. */
  list?(): AsyncIterable<ArtifactStat & { readonly sha256: string }>;
  /** An address under which anyone GETs the artifact without the farm; only where the backend has such and the operator wants them. */
  readonly presignedGet?: (sha256: string, link: PresignedLink) => Promise<string>;
};

/** A store that holds connections. */
export type OpenStore = ArtifactStore & { close(): Promise<void> };
