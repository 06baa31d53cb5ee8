/**
 * A version of a model: an immutable set of files, each cut into chunks, named by the hash of all of that.
 *
 * Invariants: equal folders have equal digests, wherever and whenever they were read: files are listed by path, the chunk size belongs to the
 * format, and times and modes do not count. Paths stay inside the version's folder on any node. Whoever pushes, keeps and pulls computes the
 * same. The hash is an argument, as of content-key.ts.
 */
import { canonicalJson, type Sha256Function } from "./content-key.ts";
import { violation, type Violations } from "./field-rules.ts";
import { isSha256 } from "./ids.ts";
import { versionDigits } from "./model-reference.ts";

/** Raised when the encoding changes: every digest changes with it. */
const formatVersion = 1;
/** Every chunk but a file's last. Small enough to be sent again, large enough that 100 GB are some thousands. */
export const modelChunkBytes = 16 * 1024 * 1024;
/** 500 GB: the list of them fits a message. */
const mostChunks = 30_000;
const mostFiles = 2_000;
const maxPathCharacters = 500;
const mostFaults = 20;

/** One file; `sha256` of the whole, `chunks` of its parts in order. An empty file has none. */
export type VersionFile = {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly chunks: readonly string[];
};

/** A part of a file. */
export type VersionChunk = { readonly sha256: string; readonly offset: number; readonly bytes: number };

/** The digest of these files, in whatever order they are; hex. */
export function versionDigest(files: readonly VersionFile[], sha256: Sha256Function): string {
  const listed = files.map(({ path, bytes, sha256: whole, chunks }) => ({ path, bytes, sha256: whole, chunks }));
  const sorted = listed.toSorted((left, right) => (left.path < right.path ? -1 : 1));
  return sha256(new TextEncoder().encode(canonicalJson({ format: formatVersion, chunkBytes: modelChunkBytes, files: sorted })));
}

/** The version that a digest gives. */
export function versionOf(digest: string): string {
  return digest.slice(0, versionDigits);
}

/** The chunks of a file with their places. */
export function chunksOf({ bytes, chunks }: Pick<VersionFile, "bytes" | "chunks">): readonly VersionChunk[] {
  return chunks.map((sha256, index) => {
    const offset = index * modelChunkBytes;
    return { sha256, offset, bytes: Math.min(modelChunkBytes, bytes - offset) };
  });
}

/** Bytes of all files together. */
export function bytesOf(files: readonly Pick<VersionFile, "bytes">[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Everything that is wrong with a list of files as such. */
export function fileViolations(files: readonly VersionFile[]): Violations {
  const chunks = files.reduce((sum, file) => sum + file.chunks.length, 0);
  if (files.length === 0 || files.length > mostFiles) return [violation("files", `are ${files.length}`, `push 1 to ${mostFiles} files`)];
  if (chunks > mostChunks) return [violation("files", `have ${chunks} chunks, more than ${mostChunks}`, "push a smaller model")];
  const paths = new Set<string>();
  return files
    .flatMap((file, index) => {
      const isDouble = paths.has(file.path);
      paths.add(file.path);
      const reason = isDouble ? `names ${file.path} again` : faultOf(file);
      return reason === undefined
        ? []
        : [violation(`files[${index}]`, reason, "push the folder with this farm's own `vapfarm models push`")];
    })
    .slice(0, mostFaults);
}

function faultOf({ path, bytes, sha256, chunks }: VersionFile): string | undefined {
  if (!isInnerPath(path)) return `has a path that does not stay inside its folder: "${path.slice(0, 80)}"`;
  if (!Number.isSafeInteger(bytes) || bytes < 0) return `has ${bytes} bytes`;
  if (!isSha256(sha256) || !chunks.every(isSha256)) return "has a hash that is no SHA-256";
  const expected = Math.ceil(bytes / modelChunkBytes);
  return chunks.length === expected ? undefined : `has ${chunks.length} chunks, not the ${expected} of ${bytes} bytes`;
}

/** Whether a path names a file inside any folder that it is put into: no root, no way up, no hidden part, nothing a file system reads otherwise. */
export function isInnerPath(path: string): boolean {
  const isPlain = path.length <= maxPathCharacters && path.isWellFormed() && !/[\\:\p{Cc}]/u.test(path);
  return isPlain && path.split("/").every((part) => part !== "" && !part.startsWith("."));
}
