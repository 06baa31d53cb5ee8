/**
 * What the store keeps of uploads and results; their bytes are in the artifact store.
 */
import type { ArtifactView } from "./job-contract.ts";

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

/** Uploads and artifacts: rows first, bytes second (design §4.12). */
export type MediaStore = {
  /** Writes or refreshes the artifact row as pending, before its bytes are put. */
  announceUpload(artifact: { readonly sha256: string; readonly sizeBytes: number; readonly mediaType: string }): Promise<void>;
  commitUpload(upload: UploadView): Promise<void>;
  findUploads(tenant: string, sha256s: readonly string[]): Promise<readonly UploadView[]>;
  artifactOfJob(tenant: string, jobId: string, name: string): Promise<ArtifactView | undefined>;
};
