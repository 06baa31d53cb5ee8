/**
 * An upload in several streams: UploadMedia with an `upload_id`.
 *
 * Invariants: bytes that arrived are kept in parts, each an artifact of its own under its own hash and then a row fenced by its offset, so
 * any coordinator can go on, a killed one loses at most the part it was receiving, and of two racing streams one wins each part. When
 * a stream breaks or its caller goes, what had arrived is kept, too. When all announced bytes are there the parts are joined, checked,
 * decoded once and stored as any upload; whoever asks after that, or finishes it at the same time, gets the same media. What turns out to be
 * no media, or not the announced bytes, is dropped whole. A file that fits one part and comes in one stream is never stored as a part:
 * it is checked where it arrived, and a wrong one leaves nothing.
 */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { UploadMediaHeader } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import { checked } from "../../platform/artifacts/checked.ts";
import type { MediaStore, ResumableUpload, UploadView } from "../store/store-contract.ts";
import { uploadOfCaller } from "./begin-upload.ts";
import type { Call } from "./method.ts";
import { type InspectMedia, inspectMedia } from "./store-media.ts";
import { openPart, type PartFile } from "./upload-file.ts";
import type { ChunkReader } from "./upload-messages.ts";

/** What it takes to go on with an upload and to finish it. */
export type ResumeDependencies = InspectMedia & {
  readonly store: Pick<MediaStore, "announceUpload" | "getUpload" | "appendUploadPart" | "listUploadParts" | "finishUpload" | "dropUpload">;
  readonly artifacts: Pick<ArtifactStore, "put" | "get">;
  /** Exists. */
  readonly temporaryFolder: string;
  readonly maxBytes: number;
  /** How much a part holds; less when the stream ends. */
  readonly partBytes: number;
};

type Stream = { readonly header: UploadMediaHeader; readonly chunks: ChunkReader; readonly call: Call };
type Resuming = { readonly dependencies: ResumeDependencies; readonly upload: ResumableUpload; readonly call: Call };

/** Takes what the stream brings; the media once all bytes are there. */
export async function resumeUpload(dependencies: ResumeDependencies, { header, chunks, call }: Stream): Promise<UploadView> {
  const upload = await uploadOfCaller(dependencies.store, header.uploadId, call.caller.tenant);
  if (upload.finished !== undefined) return upload.finished;
  if (header.offsetBytes !== BigInt(upload.receivedBytes)) throw offsetMismatch(upload, upload.receivedBytes);
  const resuming = { dependencies, upload, call };
  if (upload.receivedBytes === 0 && upload.sizeBytes <= dependencies.partBytes) return await receiveWhole(resuming, chunks);
  const received = await receiveParts(resuming, chunks);
  if (received === upload.sizeBytes) return await settle(resuming, () => joinAndStore(resuming));
  throw incomplete(upload, received);
}

function incomplete({ sizeBytes }: ResumableUpload, receivedBytes: number): FarmError {
  return new FarmError("UPLOAD_INCOMPLETE", {
    message: `${receivedBytes} of ${sizeBytes} bytes are stored; go on at offset ${receivedBytes}`,
    details: { offsetBytes: receivedBytes },
  });
}

function offsetMismatch({ sizeBytes }: ResumableUpload, receivedBytes: number): FarmError {
  return new FarmError("UPLOAD_OFFSET_MISMATCH", {
    message: `${receivedBytes} of ${sizeBytes} bytes are stored; go on at offset ${receivedBytes}`,
    details: { offsetBytes: receivedBytes },
  });
}

/** How much is stored once the stream has ended. */
async function receiveParts(resuming: Resuming, chunks: ChunkReader): Promise<number> {
  let received = resuming.upload.receivedBytes;
  for (;;) {
    const { isLast } = await receivePart(resuming, { chunks, offset: received, onStored: (bytes) => (received += bytes) });
    if (isLast) return received;
  }
}

type Part = { readonly chunks: ChunkReader; readonly offset: number; readonly onStored: (bytes: number) => void };

/** One part: what arrived of it is stored, also when the stream broke; then the break is told. */
async function receivePart({ dependencies, upload }: Resuming, { chunks, offset, onStored }: Part): Promise<{ readonly isLast: boolean }> {
  return withFile(dependencies, "part", async (path, file) => {
    const end = await fill(file, chunks, { mostBytes: upload.sizeBytes - offset, partBytes: dependencies.partBytes });
    await file.close();
    if (file.sizeBytes() > 0) {
      await storePart(dependencies, { upload, path, offset, file });
      onStored(file.sizeBytes());
    }
    if (end.kind === "broken") throw toFarmError(end.thrown);
    return { isLast: end.kind === "ended" };
  });
}

/** A small file in its one stream; of what did not come whole, what came is kept as a part. */
async function receiveWhole(resuming: Resuming, chunks: ChunkReader): Promise<UploadView> {
  const { dependencies, upload } = resuming;
  return withFile(dependencies, "upload", async (path, file) => {
    const end = await fill(file, chunks, { mostBytes: upload.sizeBytes, partBytes: upload.sizeBytes + 1 });
    await file.close();
    if (end.kind === "ended" && file.sizeBytes() === upload.sizeBytes)
      return await settle(resuming, () => storeWhole(resuming, path, file));
    if (file.sizeBytes() > 0) await storePart(dependencies, { upload, path, offset: 0, file });
    if (end.kind === "broken") throw toFarmError(end.thrown);
    throw incomplete(upload, file.sizeBytes());
  });
}

/** Runs work with a new temporary file, and removes it however that ends. */
async function withFile<T>(
  { temporaryFolder }: ResumeDependencies,
  name: string,
  work: (path: string, file: PartFile) => Promise<T>,
): Promise<T> {
  const path = join(temporaryFolder, `${name}-${randomUUID()}`);
  const file = await openPart(path);
  try {
    return await work(path, file);
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

type FillEnd = { readonly kind: "full" | "ended" } | { readonly kind: "broken"; readonly thrown: unknown };

async function fill(
  file: PartFile,
  chunks: ChunkReader,
  limits: { readonly mostBytes: number; readonly partBytes: number },
): Promise<FillEnd> {
  try {
    for (;;) {
      const chunk = await chunks.next();
      if (chunk === undefined) return { kind: "ended" };
      if (file.sizeBytes() + chunk.length > limits.mostBytes) {
        throw new FarmError("UPLOAD_PROTOCOL", { message: "more bytes came than the upload was begun with" });
      }
      await file.write(chunk);
      if (file.sizeBytes() >= limits.partBytes) return { kind: "full" };
    }
  } catch (thrown) {
    return { kind: "broken", thrown };
  }
}

type FilledPart = { readonly upload: ResumableUpload; readonly path: string; readonly offset: number; readonly file: PartFile };

/** Without the caller's signal: what arrived is kept although the caller has gone. */
async function storePart({ store, artifacts }: ResumeDependencies, { upload, path, offset, file }: FilledPart): Promise<void> {
  const part = { offsetBytes: offset, sha256: file.sha256(), sizeBytes: file.sizeBytes() };
  await store.announceUpload({ ...part, mediaType: "application/octet-stream" });
  await artifacts.put(part.sha256, path);
  const outcome = await store.appendUploadPart(upload.tenant, upload.uploadId, part);
  if (outcome === undefined) throw new FarmError("UPLOAD_UNKNOWN");
  if (outcome.kind === "moved") throw offsetMismatch(upload, outcome.receivedBytes);
}

/** The media that storing makes of an upload; what can never become media is dropped. */
async function settle({ dependencies: { store }, upload, call }: Resuming, storeMedia: () => Promise<UploadView>): Promise<UploadView> {
  try {
    return await storeMedia();
  } catch (thrown) {
    // Another stream may have finished it meanwhile, and its parts are gone.
    const current = call.signal.aborted ? undefined : await store.getUpload(upload.tenant, upload.uploadId);
    if (current?.finished !== undefined) return current.finished;
    if (isOwnFault(toFarmError(thrown))) await store.dropUpload(upload.tenant, upload.uploadId);
    throw thrown;
  }
}

/** Whether the bytes themselves are to blame, so that they will never become media. */
function isOwnFault({ code, row }: FarmError): boolean {
  return code === "UPLOAD_CHECKSUM_MISMATCH" || (code.startsWith("MEDIA_") && row.errorClass === "input");
}

function joinAndStore(resuming: Resuming): Promise<UploadView> {
  return withFile(resuming.dependencies, "upload", async (path, file) => {
    await joinParts(resuming, file);
    return await storeWhole(resuming, path, file);
  });
}

async function storeWhole({ dependencies, upload, call }: Resuming, path: string, file: PartFile): Promise<UploadView> {
  const { store, artifacts } = dependencies;
  const received = { sha256: file.sha256(), sizeBytes: file.sizeBytes() };
  if (upload.sha256 !== undefined && upload.sha256 !== received.sha256) {
    const message = `the bytes hash to ${received.sha256}, not to the announced ${upload.sha256}`;
    throw new FarmError("UPLOAD_CHECKSUM_MISMATCH", { message });
  }
  const facts = await inspectMedia(dependencies, path, call.signal);
  const media: UploadView = { ...facts, ...received, tenant: upload.tenant };
  await store.announceUpload(media);
  await artifacts.put(media.sha256, path, call.signal);
  await store.finishUpload(upload.uploadId, media);
  return media;
}

async function joinParts({ dependencies, upload, call }: Resuming, file: PartFile): Promise<void> {
  for (const part of await dependencies.store.listUploadParts(upload.uploadId)) {
    if (part.offsetBytes !== file.sizeBytes()) break;
    for await (const bytes of checked(await dependencies.artifacts.get(part.sha256), part.sha256)) {
      call.signal.throwIfAborted();
      await file.write(bytes);
    }
  }
  await file.close();
  if (file.sizeBytes() !== upload.sizeBytes) throw new FarmError("ARTIFACT_MISSING", { message: "a part of the upload is missing" });
}
