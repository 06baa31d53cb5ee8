/**
 * Where the chunks of a version come from: files that lie on this machine already, else the artifact store, else the farm.
 *
 * A chunk that a source gives has the right bytes, or the source fails: MODEL_CHUNK_DAMAGED where the bytes are wrong or gone for good. What
 * lies here is only believed as far as it hashes.
 */
import { createHash } from "node:crypto";
import type { FarmCalls } from "../../client/calls.ts";
import { createPatience, patiently, type PatienceOptions } from "../../client/patience.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { VersionChunk } from "../../domain/model-version.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import { openIfThere, readChunk } from "./file-chunks.ts";
import type { HeldFile } from "./node-folder.ts";

/** Names the version that a chunk is part of. */
export type OfVersion = { readonly name: string; readonly version: string };

export type ChunkSource = {
  /** The chunk's bytes, whole and right. */
  read(of: OfVersion, chunk: VersionChunk): Promise<Uint8Array>;
};

/** A stream of bytes that may break off, or be other bytes. */
type Open = (of: OfVersion, chunk: VersionChunk) => Promise<AsyncIterable<Uint8Array>> | AsyncIterable<Uint8Array>;

/** From the artifact store itself: what a node in the farm's own network has. */
export function storeSource(store: Pick<ArtifactStore, "get">, options: PatienceOptions): ChunkSource {
  return remote((_of, chunk) => store.get(chunk.sha256), options);
}

/** Through the farm: what anybody with its address has. */
export function farmSource(calls: Pick<FarmCalls, "downloadModelChunk">, options: PatienceOptions): ChunkSource {
  return remote(({ name, version }, { sha256 }) => chunksOnly(calls.downloadModelChunk({ name, version, sha256 }, options)), options);
}

async function* chunksOnly(answers: AsyncIterable<{ readonly chunk: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { chunk } of answers) yield chunk;
}

function remote(open: Open, options: PatienceOptions): ChunkSource {
  return {
    read: (of, chunk) => patiently(createPatience(options), () => readOnce(open, of, chunk)),
  };
}

async function readOnce(open: Open, of: OfVersion, chunk: VersionChunk): Promise<Uint8Array> {
  const hash = createHash("sha256");
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of await open(of, chunk)) {
      hash.update(piece);
      pieces.push(piece);
    }
  } catch (thrown) {
    const error = toFarmError(thrown);
    if (error.code === "ARTIFACT_MISSING" || error.code === "ARTIFACT_CORRUPT") throw damaged(of, chunk, error);
    throw error;
  }
  const found = hash.digest("hex");
  if (found !== chunk.sha256) throw damaged(of, chunk, new FarmError("ARTIFACT_CORRUPT", { message: `its bytes hash to ${found}` }));
  return Buffer.concat(pieces);
}

function damaged({ name, version }: OfVersion, { sha256 }: VersionChunk, cause: FarmError): FarmError {
  const message = `chunk ${sha256} of ${name}:${version}: ${cause.message}`;
  return new FarmError("MODEL_CHUNK_DAMAGED", { message, details: { sha256 }, cause });
}

/** The same, but for chunks that files of this machine have: versions of a model share most of theirs. */
export function withLocal(source: ChunkSource, held: readonly HeldFile[], onLocal: (bytes: number) => void): ChunkSource {
  const places = new Map<string, HeldFile>();
  for (const file of held) places.set(file.chunk.sha256, file);
  return {
    async read(of, chunk) {
      const place = places.get(chunk.sha256);
      const found = place === undefined ? undefined : await readHere(place);
      if (found === undefined) return await source.read(of, chunk);
      onLocal(found.length);
      return found;
    },
  };
}

async function readHere({ path, chunk }: HeldFile): Promise<Uint8Array | undefined> {
  const file = await openIfThere(path);
  if (file === undefined) return undefined;
  try {
    return await readChunk(file, chunk);
  } finally {
    await file.close();
  }
}
