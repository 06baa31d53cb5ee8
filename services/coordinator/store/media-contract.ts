/**
 * What the store keeps of uploads and results; their bytes are in the artifact store.
 */
import type { ArtifactView, TenantScope } from "./job-contract.ts";

export type UploadView = {
  readonly tenant: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly kind: "image" | "video";
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly mediaType: string;
};

/** An upload that can be resumed, before it is whole: its parts are artifacts of their own. */
export type ResumableUpload = {
  readonly uploadId: string;
  readonly tenant: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Of the whole file, when it was announced. */
  readonly sha256: string | undefined;
  readonly receivedBytes: number;
  readonly expiresAt: Date;
  /** The upload that it became. */
  readonly finished: UploadView | undefined;
};

export type UploadPart = { readonly offsetBytes: number; readonly sha256: string; readonly sizeBytes: number };

export type BeginUpload = {
  readonly uploadId: string;
  readonly tenant: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string | undefined;
  /** From now, and again from each part. */
  readonly lifetimeMs: number;
};

/** An artifact of a render, by what a caller may know of it. */
export type ArtifactName = { readonly jobId: string; readonly position: number; readonly name: string };

/** Uploads and artifacts: rows first, bytes second (design §4.12). */
export type MediaStore = {
  /** Writes or refreshes the artifact row as pending, before its bytes are put. */
  announceUpload(artifact: { readonly sha256: string; readonly sizeBytes: number; readonly mediaType: string }): Promise<void>;
  commitUpload(upload: UploadView): Promise<void>;
  findUploads(tenant: string, sha256s: readonly string[]): Promise<readonly UploadView[]>;
  /** A result of a render that succeeded, or (`input_image`, `input_reference_1` ..) the media that a render starts from. */
  artifactOfRender(scope: TenantScope, artifact: ArtifactName): Promise<ArtifactView | undefined>;

  beginUpload(upload: BeginUpload): Promise<ResumableUpload>;
  /** Undefined when there is none of the tenant, or it has expired. */
  getUpload(tenant: string, uploadId: string): Promise<ResumableUpload | undefined>;
  /**
   * Appends a part whose bytes are stored under an announced artifact row: moved on, or the offset where it really is when another
   * stream was faster. Undefined as of getUpload.
   */
  appendUploadPart(
    tenant: string,
    uploadId: string,
    part: UploadPart,
  ): Promise<{ readonly kind: "appended" | "moved"; readonly receivedBytes: number } | undefined>;
  /** In order of offset. */
  listUploadParts(uploadId: string): Promise<readonly UploadPart[]>;
  /** Writes the upload row (as commitUpload) and forgets the parts, which collection then removes. */
  finishUpload(uploadId: string, upload: UploadView): Promise<void>;
  /** Forgets an upload that turned out to be no media, and its parts. Idempotent. */
  dropUpload(tenant: string, uploadId: string): Promise<void>;
};
