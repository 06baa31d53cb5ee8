/**
 * Uploads that can be resumed: parts appended one after the other, each an artifact of its own until the whole is made of them.
 *
 * Invariants: parts follow each other without gap or overlap; of two streams that append at one offset one wins, and the other learns
 * where the upload ends now; an upload that nobody goes on with expires, and its parts with it.
 */
import { FarmError } from "../../domain/errors.ts";
import { type Pool, inTransaction, runStatement } from "../../platform/database/pool.ts";
import {
  appendPartStatement,
  beginUploadStatement,
  commitUploadStatement,
  dropUploadStatement,
  finishPartsStatement,
  getUploadStatement,
  listPartsStatement,
} from "./sql/uploads.ts";
import { callFunction, type StoreContext, toPayload } from "./store-context.ts";
import type { BeginUpload, MediaStore, ResumableUpload, UploadPart, UploadView } from "./store-contract.ts";

/** Open uploads of one tenant. */
const mostOpenUploads = 100;

type UploadRow = {
  readonly id: string;
  readonly file_name: string;
  readonly size_bytes: number;
  readonly sha256: string | null;
  readonly received_bytes: number;
  readonly expires_at: Date;
  /** Null, with all that follow, until it is finished. */
  readonly media_sha256: string | null;
  readonly kind: "image" | "video";
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly media_type: string;
  readonly media_bytes: number;
};

type ResumableStore = Pick<
  MediaStore,
  "beginUpload" | "getUpload" | "appendUploadPart" | "listUploadParts" | "finishUpload" | "dropUpload"
>;

type Appended = Exclude<Awaited<ReturnType<MediaStore["appendUploadPart"]>>, undefined>;

/** The part of the store that resumable uploads go through. */
export function createUploads({ pool }: StoreContext): ResumableStore {
  return {
    beginUpload: (upload) => beginUpload(pool, upload),
    getUpload: (tenant, uploadId) => getUpload(pool, tenant, uploadId),
    async appendUploadPart(tenant, uploadId, part) {
      return (await callFunction<Appended | null>(pool, appendPartStatement, [tenant, uploadId, toPayload(part)])) ?? undefined;
    },
    listUploadParts: (uploadId) => runStatement<UploadPart>(pool, listPartsStatement, [uploadId]),
    finishUpload: (uploadId, upload) => finishUpload(pool, uploadId, upload),
    async dropUpload(tenant, uploadId) {
      await runStatement(pool, dropUploadStatement, [tenant, uploadId]);
    },
  };
}

/** The values of commitUploadStatement. */
export function uploadValues({ tenant, sha256, sizeBytes, mediaType, kind, width, height, frames }: UploadView): readonly unknown[] {
  return [tenant, sha256, sizeBytes, mediaType, kind, width, height, frames];
}

async function beginUpload(pool: Pool, upload: BeginUpload): Promise<ResumableUpload> {
  const begun = await callFunction<string | null>(pool, beginUploadStatement, [toPayload(upload), mostOpenUploads]);
  if (begun === null) throw new FarmError("UPLOADS_TOO_MANY");
  const found = await getUpload(pool, upload.tenant, begun);
  if (found === undefined) throw new FarmError("UPLOAD_UNKNOWN");
  return found;
}

async function getUpload(pool: Pool, tenant: string, uploadId: string): Promise<ResumableUpload | undefined> {
  const [row] = await runStatement<UploadRow>(pool, getUploadStatement, [tenant, uploadId]);
  return row === undefined ? undefined : uploadFromRow(row, tenant);
}

function uploadFromRow(row: UploadRow, tenant: string): ResumableUpload {
  return {
    uploadId: row.id,
    tenant,
    fileName: row.file_name,
    sizeBytes: row.size_bytes,
    sha256: row.sha256 ?? undefined,
    receivedBytes: row.received_bytes,
    expiresAt: row.expires_at,
    finished: row.media_sha256 === null ? undefined : mediaFromRow({ ...row, media_sha256: row.media_sha256 }, tenant),
  };
}

function mediaFromRow(row: UploadRow & { readonly media_sha256: string }, tenant: string): UploadView {
  const { kind, width, height, frames } = row;
  return {
    tenant,
    sha256: row.media_sha256,
    sizeBytes: row.media_bytes,
    kind,
    width,
    height,
    frames,
    mediaType: row.media_type,
  };
}

/** The media first: what the upload became must be there. */
async function finishUpload(pool: Pool, uploadId: string, upload: UploadView): Promise<void> {
  await inTransaction(pool, async (connection) => {
    await connection.query({ ...commitUploadStatement, values: [...uploadValues(upload)] });
    await connection.query({ ...finishPartsStatement, values: [uploadId, upload.tenant, upload.sha256] });
  });
}
