/**
 * A made-up version of a model, and sources of its chunks that a test controls.
 */
import { createHash, randomBytes } from "node:crypto";
import type { ChunkSource } from "../../services/cli/models/chunk-source.ts";
import type { VersionOnDisk } from "../../services/cli/models/node-folder.ts";
import { FarmError } from "../../services/domain/errors.ts";
import { modelChunkBytes, type VersionFile, versionDigest, versionOf } from "../../services/domain/model-version.ts";

export const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export type MadeVersion = VersionOnDisk & {
  readonly contents: ReadonlyMap<string, Buffer>;
  readonly chunks: ReadonlyMap<string, Buffer>;
};

/** A version of files of random bytes of these sizes; `shared`: bytes of some of them. */
export function madeVersion(
  name: string,
  sizes: Readonly<Record<string, number>>,
  shared: ReadonlyMap<string, Buffer> = new Map(),
): MadeVersion {
  const contents = new Map(Object.entries(sizes).map(([path, size]) => [path, shared.get(path) ?? randomBytes(size)]));
  const chunks = new Map<string, Buffer>();
  const files = [...contents].map(([path, bytes]): VersionFile => {
    const own: string[] = [];
    for (let at = 0; at < bytes.length; at += modelChunkBytes) {
      const chunk = bytes.subarray(at, at + modelChunkBytes);
      own.push(sha256Of(chunk));
      chunks.set(sha256Of(chunk), chunk);
    }
    return { path, bytes: bytes.length, sha256: sha256Of(bytes), chunks: own };
  });
  const digest = versionDigest(files, sha256Of);
  return { name, version: versionOf(digest), digest, files, contents, chunks };
}

/** Gives its chunks, and counts what was asked for; `before` may refuse or change one. */
export function sourceFrom(version: Pick<MadeVersion, "chunks">, before: (sha256: string) => void = () => undefined) {
  const asked: string[] = [];
  const source: ChunkSource = {
    read(_of, { sha256 }) {
      asked.push(sha256);
      before(sha256);
      const bytes = version.chunks.get(sha256);
      return bytes === undefined ? Promise.reject(new FarmError("MODEL_CHUNK_DAMAGED")) : Promise.resolve(bytes);
    },
  };
  return { source, asked };
}
