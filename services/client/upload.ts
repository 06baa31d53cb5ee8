/**
 * Uploads that lose nothing when a stream breaks.
 *
 * The bytes are hashed first, so what the farm has already is not sent; a broken stream goes on where the farm says that it is. A farm
 * that knows no resumable uploads (the release before) gets the bytes in one stream.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { type ErrorCode, FarmError, toFarmError } from "../domain/errors.ts";
import type { Upload, UploadMediaHeader, UploadMediaRequest, UploadMediaResponse } from "../gen/proto/vapfarm/v1/farm.ts";
import { hashFile } from "../platform/artifacts/fetch.ts";
import type { FarmCalls } from "./calls.ts";
import { createPatience, type Patience, patiently, type PatienceOptions } from "./patience.ts";

/** What an upload tells while it goes on. */
export type UploadOptions = PatienceOptions & {
  /** For messages of the farm; else the path's last part. */
  readonly fileName?: string | undefined;
  /** From the farm's point of view: falls back when a stream broke. */
  readonly onProgress?: ((sentBytes: number, totalBytes: number) => void) | undefined;
};

// The farm stores what came before a break after it has answered where it is, so that answer may be old when the next part arrives.
const alsoAgain: readonly ErrorCode[] = ["UPLOAD_OFFSET_MISMATCH", "UPLOAD_INCOMPLETE", "UPLOADS_BUSY"];

const chunkBytes = 256 * 1024;

type Source = {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly fileName: string;
  chunks(offsetBytes: number): AsyncGenerator<Buffer>;
};

type UploadCalls = Pick<FarmCalls, "beginUpload" | "getUpload" | "uploadMedia">;

/** Uploads a file, or bytes; what the farm decoded. */
export async function upload(calls: UploadCalls, what: string | Uint8Array, options: UploadOptions = {}): Promise<UploadMediaResponse> {
  const source = typeof what === "string" ? await fileSource(what, options) : bytesSource(what, options.fileName ?? "bytes");
  const patience = createPatience(options, alsoAgain);
  const session: Session = { calls, source, options, patience };
  let begun = await begin(session);
  if (begun === undefined) return sendFrom(session, undefined);
  for (;;) {
    if (begun.media !== undefined) return begun.media;
    const { uploadId, receivedBytes } = begun;
    try {
      return await sendFrom(session, begun);
    } catch (thrown) {
      await patience.failed(thrown);
    }
    begun = await whereWeAre(session, uploadId);
    if (begun.receivedBytes > receivedBytes) patience.answered();
  }
}

type Session = { readonly calls: UploadCalls; readonly source: Source; readonly options: UploadOptions; readonly patience: Patience };

/** Undefined when the farm knows no such uploads. */
async function begin({ calls, source, options, patience }: Session): Promise<Upload | undefined> {
  const { fileName, sha256, sizeBytes } = source;
  try {
    const call = () => calls.beginUpload({ fileName, sha256, sizeBytes: BigInt(sizeBytes) }, { signal: options.signal });
    return requireUpload((await patiently(patience, call)).upload);
  } catch (thrown) {
    const error = toFarmError(thrown);
    if (error.details["grpcStatus"] === "UNIMPLEMENTED") return undefined;
    throw error;
  }
}

/** Where the farm is; an upload that it has dropped meanwhile is begun anew. Waiting for the farm, unlike its answer, is an outage. */
async function whereWeAre(session: Session, uploadId: string): Promise<Upload> {
  for (;;) {
    try {
      return requireUpload((await session.calls.getUpload({ uploadId }, { signal: session.options.signal })).upload);
    } catch (thrown) {
      const error = toFarmError(thrown);
      if (error.details["grpcStatus"] === "NOT_FOUND") return requireUpload(await begin(session));
      await session.patience.failed(error);
    }
  }
}

function requireUpload(upload: Upload | undefined): Upload {
  if (upload === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the farm's answer has no upload" });
  return upload;
}

function sendFrom({ calls, source, options }: Session, begun: Upload | undefined): Promise<UploadMediaResponse> {
  return calls.uploadMedia(messages(source, begun, options), { signal: options.signal });
}

async function* messages(source: Source, begun: Upload | undefined, { onProgress }: UploadOptions): AsyncGenerator<UploadMediaRequest> {
  const { fileName, sha256, sizeBytes } = source;
  const offset = begun?.receivedBytes ?? 0n;
  const header: UploadMediaHeader =
    begun === undefined
      ? { fileName, sha256, sizeBytes: BigInt(sizeBytes), uploadId: "", offsetBytes: 0n }
      : { fileName, uploadId: begun.uploadId, offsetBytes: offset };
  yield { part: { $case: "header", value: header } };
  let sentBytes = Number(offset);
  for await (const chunk of source.chunks(sentBytes)) {
    yield { part: { $case: "chunk", value: chunk } };
    sentBytes += chunk.length;
    onProgress?.(sentBytes, sizeBytes);
  }
}

async function fileSource(path: string, { fileName, signal }: UploadOptions): Promise<Source> {
  await requireFile("file", path);
  const { sha256, sizeBytes } = await hashFile(path, signal).catch((thrown: unknown) => Promise.reject(unreadable(path, thrown)));
  return {
    sha256,
    sizeBytes,
    fileName: fileName ?? basename(path),
    async *chunks(offsetBytes) {
      const stream = createReadStream(path, { highWaterMark: chunkBytes, start: offsetBytes }) as AsyncIterable<Buffer>;
      for await (const chunk of stream) yield chunk;
    },
  };
}

function bytesSource(bytes: Uint8Array, fileName: string): Source {
  return {
    sha256: createHash("sha256").update(bytes).digest("hex"),
    sizeBytes: bytes.length,
    fileName,
    // eslint-disable-next-line @typescript-eslint/require-await -- one shape for files and bytes
    async *chunks(offsetBytes) {
      for (let start = offsetBytes; start < bytes.length; start += chunkBytes) {
        yield Buffer.from(bytes.subarray(start, start + chunkBytes));
      }
    },
  };
}

/** Why a file that is there cannot be read: the system's own word for it. */
function unreadable(path: string, thrown: unknown): FarmError {
  const { code } = toFarmError(thrown);
  const word = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  // Not the file's fault: the caller stopped.
  if (code !== "INTERNAL" || word === "ABORT_ERR") return toFarmError(thrown);
  const reason = `${path} cannot be read (${word})`;
  const fields = [{ field: "file", reason, remedy: "name an image or video file that you may read" }];
  return new FarmError("FIELD_INVALID", { message: `file: ${reason}`, details: { fields }, cause: thrown });
}

/** FIELD_INVALID naming the field or option unless the path is a readable file. */
export async function requireFile(option: string, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() === true) return;
  const reason = found === undefined ? `there is no file ${path}` : `${path} is no file`;
  const fields = [{ field: option, reason, remedy: "name an image or video file" }];
  throw new FarmError("FIELD_INVALID", { message: `${option}: ${reason}`, details: { fields } });
}
