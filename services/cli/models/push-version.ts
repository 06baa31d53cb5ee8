/**
 * A version on its way to the farm: what it lacks is sent, several chunks at a time, then the push is ended.
 *
 * Resumable: whatever breaks, the same push again sends only what is missing still. The farm hashes each chunk as it comes, so a file that
 * changed since it was read is refused, not stored.
 */
import { open } from "node:fs/promises";
import type { FarmCalls } from "../../client/calls.ts";
import { present } from "../../client/farm-client.ts";
import { createPatience, patiently, type PatienceOptions } from "../../client/patience.ts";
import { toFarmError } from "../../domain/errors.ts";
import { chunksOf, type VersionChunk } from "../../domain/model-version.ts";
import type { ModelVersion, UploadModelChunkRequest } from "../../gen/proto/vapfarm/v1/models.ts";
import { mapBounded } from "../batch/bounded.ts";
import { readAt } from "./file-chunks.ts";
import type { FolderToPush } from "./read-folder.ts";

/** What comes of it. */
export type Pushed = { readonly version: ModelVersion; readonly sentBytes: number; readonly sentChunks: number };

type PushOptions = PatienceOptions & {
  readonly signal: AbortSignal;
  readonly parallel: number;
  /** Sends chunks that the farm says it has, too. */
  readonly resend: boolean;
  readonly onProgress: (done: number, total: number) => void;
};

const pieceBytes = 256 * 1024;

type Calls = Pick<FarmCalls, "beginModelPush" | "uploadModelChunk" | "finishModelPush">;

/** Pushes the version; nobody can name it before all of it is there. */
export async function pushVersion(calls: Calls, folder: FolderToPush, options: PushOptions): Promise<Pushed> {
  const files = folder.files.map(({ path, bytes, sha256, chunks }) => ({ path, sizeBytes: BigInt(bytes), sha256, chunks: [...chunks] }));
  const begun = await again(options, () => calls.beginModelPush({ files, farmJson: folder.farmJson }));
  const version = present(begun.version, "version");
  const missing = placesOf(folder, options.resend ? undefined : new Set(begun.missingChunks));
  const total = missing.reduce((sum, { chunk }) => sum + chunk.bytes, 0);
  let done = 0;
  options.onProgress(0, total);
  await mapBounded(missing, options.parallel, async (place) => {
    options.signal.throwIfAborted();
    const bytes = await bytesOfChunk(folder, place);
    const header = { name: version.name, version: version.version, sha256: place.chunk.sha256 };
    await again(options, () => calls.uploadModelChunk(messages(header, bytes), { signal: options.signal }));
    options.onProgress((done += place.chunk.bytes), total);
  });
  const finished = await again(options, () => calls.finishModelPush({ name: version.name, version: version.version }));
  return { version: present(finished.version, "version"), sentBytes: total, sentChunks: missing.length };
}

/** Every call of a push may be repeated; a farm that takes no more chunks at the moment is waited for. */
function again<T>(options: PatienceOptions, call: () => Promise<T>): Promise<T> {
  return patiently(createPatience(options, ["UPLOADS_BUSY"]), call);
}

type Place = { readonly path: string; readonly chunk: VersionChunk };

/** Where to read each chunk, once; undefined: of all. */
function placesOf({ files }: FolderToPush, wanted: ReadonlySet<string> | undefined): readonly Place[] {
  const places = new Map<string, Place>();
  for (const file of files) {
    for (const chunk of chunksOf(file)) if (wanted?.has(chunk.sha256) ?? true) places.set(chunk.sha256, { path: file.path, chunk });
  }
  return [...places.values()];
}

async function bytesOfChunk({ sourceOf }: FolderToPush, { path, chunk }: Place): Promise<Uint8Array> {
  const source = sourceOf(path);
  if (typeof source !== "string") return source.subarray(chunk.offset, chunk.offset + chunk.bytes);
  const file = await open(source, "r").catch((thrown: unknown) => {
    throw toFarmError(thrown, "MODEL_INVALID");
  });
  try {
    return await readAt(file, chunk);
  } finally {
    await file.close();
  }
}

type Header = { readonly name: string; readonly version: string; readonly sha256: string };

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* messages(header: Header, bytes: Uint8Array): AsyncGenerator<UploadModelChunkRequest> {
  yield { part: { $case: "header", value: header } };
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    yield { part: { $case: "chunk", value: Buffer.from(bytes.subarray(at, at + pieceBytes)) } };
  }
}
