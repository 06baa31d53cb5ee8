/**
 * UploadMedia: header, then chunks, into a temporary file; hashed, decoded once within limits, then stored.
 *
 * Order (design §4.12): the artifact's row is pending before its bytes are put, and the upload's row comes last, so that a failure
 * at any point leaves at most bytes and a pending row, which collection removes. The temporary file never outlives the call. Decoding
 * is bounded: at most so many files at a time on one coordinator.
 */
import { createHash, randomUUID } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { UploadMediaHeader, UploadMediaRequest, UploadMediaResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import { withDeadline } from "../../platform/deadline.ts";
import type { MediaStore, UploadView } from "../store/store-contract.ts";
import type { Call } from "./method.ts";
import type { Slots } from "./slots.ts";

const maxChunkBytes = 256 * 1024;

/** What decoding a file once told of it. */
export type MediaFacts = Pick<UploadView, "kind" | "width" | "height" | "frames" | "mediaType">;

/** What UploadMedia works with. */
export type UploadDependencies = {
  readonly store: Pick<MediaStore, "announceUpload" | "commitUpload">;
  readonly artifacts: Pick<ArtifactStore, "put">;
  readonly inspect: (path: string, signal: AbortSignal) => Promise<MediaFacts>;
  readonly inspections: Slots;
  /** Exists. */
  readonly temporaryFolder: string;
  readonly maxBytes: number;
  /** The longest wait for the caller's next message. */
  readonly idleMs: number;
};

/** The handler of UploadMedia. */
export function createUploadMedia(dependencies: UploadDependencies) {
  return async (messages: AsyncIterable<UploadMediaRequest>, { caller, signal }: Call): Promise<UploadMediaResponse> => {
    const path = join(dependencies.temporaryFolder, `upload-${randomUUID()}`);
    try {
      const received = await receive(dependencies, messages, path);
      const facts = await dependencies.inspections.use(signal, () => dependencies.inspect(path, signal));
      signal.throwIfAborted();
      const upload: UploadView = { ...facts, ...received, tenant: caller.tenant };
      await dependencies.store.announceUpload(upload);
      await dependencies.artifacts.put(upload.sha256, path, signal);
      await dependencies.store.commitUpload(upload);
      return { ...received, sizeBytes: BigInt(received.sizeBytes), ...pickShape(facts) };
    } catch (thrown) {
      // A caller that went away is no fault of the farm, whatever broke first.
      throw signal.aborted ? new FarmError("STAGE_CANCELLED", { message: "the upload was cancelled", cause: thrown }) : blameMedia(thrown);
    } finally {
      await rm(path, { force: true });
    }
  };
}

/** What is wrong with the media is wrong with the bytes that were sent: the field to correct. */
function blameMedia(thrown: unknown): FarmError {
  const error = toFarmError(thrown);
  if (!error.code.startsWith("MEDIA_") || error.row.errorClass !== "input" || error.details.fields !== undefined) return error;
  const fields = [{ field: "chunk", reason: error.message, remedy: error.row.remedy }];
  return new FarmError(error.code, { message: error.message, details: { ...error.details, fields }, cause: error });
}

function pickShape({ kind, width, height, frames }: MediaFacts) {
  return { kind, width, height, frames };
}

type Received = { readonly sha256: string; readonly sizeBytes: number };

async function receive(options: UploadDependencies, messages: AsyncIterable<UploadMediaRequest>, path: string): Promise<Received> {
  const iterator = messages[Symbol.asyncIterator]();
  const next = (): Promise<IteratorResult<UploadMediaRequest>> =>
    withDeadline(iterator.next(), { ms: options.idleMs, what: "the wait for the upload's next message" });
  const first = await next();
  if (first.done === true || first.value.part?.$case !== "header") {
    throw new FarmError("UPLOAD_PROTOCOL", { message: "the first message must be the header" });
  }
  const header = first.value.part.value;
  refuseAnnounced(header, options.maxBytes);
  const received = await writeChunks(next, path, options.maxBytes);
  checkAgainst(header, received);
  return received;
}

async function writeChunks(next: () => Promise<IteratorResult<UploadMediaRequest>>, path: string, maxBytes: number): Promise<Received> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const file = await open(path, "wx", 0o600).catch((thrown: unknown) => {
    throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
  });
  try {
    for (let message = await next(); message.done !== true; message = await next()) {
      const chunk = chunkOf(message.value);
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw tooLarge(sizeBytes, maxBytes);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  return { sha256: hash.digest("hex"), sizeBytes };
}

function chunkOf({ part }: UploadMediaRequest): Buffer {
  if (part?.$case !== "chunk") throw new FarmError("UPLOAD_PROTOCOL", { message: "after the header come chunks only" });
  if (part.value.length <= maxChunkBytes) return part.value;
  throw new FarmError("UPLOAD_PROTOCOL", { message: `a chunk of ${part.value.length} bytes; at most ${maxChunkBytes} are allowed` });
}

function refuseAnnounced({ sizeBytes }: UploadMediaHeader, maxBytes: number): void {
  if (sizeBytes !== undefined && sizeBytes > BigInt(maxBytes)) throw tooLarge(Number(sizeBytes), maxBytes);
}

function tooLarge(sizeBytes: number, maxBytes: number): FarmError {
  const field = { field: "chunk", reason: `${sizeBytes} bytes or more, ${maxBytes} are allowed`, remedy: "shorten or scale the media" };
  return new FarmError("MEDIA_TOO_LARGE", { details: { fields: [field] } });
}

function checkAgainst(header: UploadMediaHeader, { sha256, sizeBytes }: Received): void {
  if (header.sizeBytes !== undefined && header.sizeBytes !== BigInt(sizeBytes)) {
    throw new FarmError("UPLOAD_CHECKSUM_MISMATCH", { message: `${sizeBytes} bytes arrived, ${header.sizeBytes} were announced` });
  }
  if (header.sha256 !== undefined && header.sha256 !== sha256) {
    throw new FarmError("UPLOAD_CHECKSUM_MISMATCH", { message: `the bytes hash to ${sha256}, not to the announced ${header.sha256}` });
  }
  if (sizeBytes === 0) throw new FarmError("MEDIA_EMPTY", { message: "the upload has no bytes" });
}
