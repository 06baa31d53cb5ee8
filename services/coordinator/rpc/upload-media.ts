/**
 * UploadMedia: header, then chunks. Without `upload_id` the stream is the whole upload, in a temporary file that never outlives the call;
 * with it the stream goes on with a begun upload (`resume-upload.ts`).
 *
 * Bounded: at most so many uploads at a time on one coordinator, and one more is refused at once, since a stream that waited for its turn
 * would hold its caller's bytes back.
 */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { maxInt64, numberRule, refuseAny, sha256Rule, violation, type Violations } from "../../domain/field-rules.ts";
import type { UploadMediaHeader, UploadMediaRequest, UploadMediaResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import type { MediaStore, UploadView } from "../store/store-contract.ts";
import type { Call } from "./method.ts";
import { resumeUpload, type ResumeDependencies } from "./resume-upload.ts";
import type { Slots } from "../../platform/slots.ts";
import { inspectMedia, type KeepMedia, keepMedia } from "./store-media.ts";
import { openPart, type PartFile, tooLarge } from "./upload-file.ts";
import { uploadToProto } from "./upload-mapping.ts";
import { type ChunkReader, readUpload } from "./upload-messages.ts";

export type { MediaFacts } from "./store-media.ts";

/** What UploadMedia works with. */
export type UploadDependencies = KeepMedia &
  ResumeDependencies & {
    readonly store: Pick<MediaStore, "announceUpload" | "commitUpload"> & ResumeDependencies["store"];
    readonly artifacts: Pick<ArtifactStore, "put" | "get">;
    /** Uploads received at a time. */
    readonly uploads: Slots;
    /** The longest wait for the caller's next message. */
    readonly idleMs: number;
  };

/** The handler of UploadMedia. */
export function createUploadMedia(dependencies: UploadDependencies) {
  return (messages: AsyncIterable<UploadMediaRequest>, call: Call): Promise<UploadMediaResponse> =>
    dependencies.uploads.useNow("UPLOADS_BUSY", async () => {
      try {
        const { header, chunks } = await readUpload(messages, dependencies.idleMs);
        refuseAny(violationsOf(header));
        const upload =
          header.uploadId === ""
            ? await uploadAtOnce(dependencies, { header, chunks, call })
            : await resumeUpload(dependencies, { header, chunks, call });
        return uploadToProto(upload);
      } catch (thrown) {
        // A caller that went away is no fault of the farm, whatever broke first.
        if (!call.signal.aborted) throw blameMedia(thrown);
        throw new FarmError("STAGE_CANCELLED", { message: "the upload was cancelled", cause: thrown });
      }
    });
}

/** What is wrong with a header by itself. */
function violationsOf({ uploadId, offsetBytes, sizeBytes, sha256 }: UploadMediaHeader): Violations {
  const isBegun = uploadId !== "";
  return [
    ...(isBegun || offsetBytes === 0n
      ? []
      : [violation("header.offset_bytes", "stands without upload_id", "name the upload, or begin at 0")]),
    ...(isBegun ? numberRule("header.offset_bytes", { value: offsetBytes, min: 0, max: maxInt64 }) : []),
    ...(sizeBytes === undefined ? [] : numberRule("header.size_bytes", { value: sizeBytes, min: 0, max: maxInt64 })),
    ...sha256Rule("header.sha256", sha256),
  ];
}

type Stream = { readonly header: UploadMediaHeader; readonly chunks: ChunkReader; readonly call: Call };

async function uploadAtOnce(dependencies: UploadDependencies, { header, chunks, call }: Stream): Promise<UploadView> {
  if (header.sizeBytes !== undefined && header.sizeBytes > BigInt(dependencies.maxBytes)) {
    throw tooLarge(Number(header.sizeBytes), dependencies.maxBytes);
  }
  const path = join(dependencies.temporaryFolder, `upload-${randomUUID()}`);
  try {
    const received = await receive(await openPart(path), chunks, dependencies.maxBytes);
    checkAgainst(header, received);
    const facts = await inspectMedia(dependencies, path, call.signal);
    const upload: UploadView = { ...facts, ...received, tenant: call.caller.tenant };
    await keepMedia(dependencies, { upload, path }, call.signal);
    return upload;
  } finally {
    await rm(path, { force: true });
  }
}

type Received = { readonly sha256: string; readonly sizeBytes: number };

async function receive(file: PartFile, chunks: ChunkReader, maxBytes: number): Promise<Received> {
  try {
    for (let chunk = await chunks.next(); chunk !== undefined; chunk = await chunks.next()) {
      if (file.sizeBytes() + chunk.length > maxBytes) throw tooLarge(file.sizeBytes() + chunk.length, maxBytes);
      await file.write(chunk);
    }
  } finally {
    await file.close();
  }
  return { sha256: file.sha256(), sizeBytes: file.sizeBytes() };
}

/** What is wrong with the media is wrong with the bytes that were sent: the field to correct. */
function blameMedia(thrown: unknown): FarmError {
  const error = toFarmError(thrown);
  if (!error.code.startsWith("MEDIA_") || error.row.errorClass !== "input" || error.details.fields !== undefined) return error;
  const fields = [{ field: "chunk", reason: error.message, remedy: error.row.remedy }];
  return new FarmError(error.code, { message: error.message, details: { ...error.details, fields }, cause: error });
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
