/**
 * The store's part for uploads in memory, for tests of what is built upon it; the real one has tests of its own.
 */
import type { ArtifactView, MediaStore, ResumableUpload, UploadPart, UploadView } from "../../services/coordinator/store/store-contract.ts";

export type MemoryMediaStore = MediaStore & {
  readonly uploads: UploadView[];
  readonly parts: Map<string, UploadPart[]>;
  /** What artifactOfRender answers, by name. */
  readonly artifacts: Map<string, ArtifactView>;
};

/** An empty store. */
export function createMemoryMediaStore(): MemoryMediaStore {
  const uploads: UploadView[] = [];
  const parts = new Map<string, UploadPart[]>();
  const artifacts = new Map<string, ArtifactView>();
  const resumable = new Map<string, ResumableUpload>();
  const own = (tenant: string, uploadId: string): ResumableUpload | undefined => {
    const upload = resumable.get(uploadId);
    return upload?.tenant === tenant ? upload : undefined;
  };
  return {
    uploads,
    parts,
    artifacts,
    announceUpload: () => Promise.resolve(),
    commitUpload: (upload) => Promise.resolve(void uploads.push(upload)),
    findUploads: (tenant, hashes) => Promise.resolve(uploads.filter((one) => one.tenant === tenant && hashes.includes(one.sha256))),
    artifactOfRender: (_scope, { name }) => Promise.resolve(artifacts.get(name)),
    beginUpload({ lifetimeMs, ...upload }) {
      const begun = { ...upload, receivedBytes: 0, expiresAt: new Date(lifetimeMs), finished: undefined };
      resumable.set(upload.uploadId, begun);
      parts.set(upload.uploadId, []);
      return Promise.resolve(begun);
    },
    getUpload: (tenant, uploadId) => Promise.resolve(own(tenant, uploadId)),
    appendUploadPart(tenant, uploadId, part) {
      const upload = own(tenant, uploadId);
      if (upload === undefined) return Promise.resolve(undefined);
      const { receivedBytes } = upload;
      if (part.offsetBytes !== receivedBytes) return Promise.resolve({ kind: "moved" as const, receivedBytes });
      parts.get(uploadId)?.push(part);
      resumable.set(uploadId, { ...upload, receivedBytes: receivedBytes + part.sizeBytes });
      return Promise.resolve({ kind: "appended" as const, receivedBytes: receivedBytes + part.sizeBytes });
    },
    listUploadParts: (uploadId) => Promise.resolve(parts.get(uploadId) ?? []),
    finishUpload(uploadId, finished) {
      const upload = resumable.get(uploadId);
      if (upload !== undefined) resumable.set(uploadId, { ...upload, finished });
      uploads.push(finished);
      return Promise.resolve(void parts.delete(uploadId));
    },
    dropUpload(_tenant, uploadId) {
      parts.delete(uploadId);
      return Promise.resolve(void resumable.delete(uploadId));
    },
  };
}
