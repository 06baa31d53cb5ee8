/**
 * Uploads and artifacts as clients ask for them: always through a tenant or a job, never by knowing a hash.
 */
import { runStatement } from "../../platform/database/pool.ts";
import { announceStatement, commitUploadStatement } from "./sql/uploads.ts";
import { read, type StoreContext } from "./store-context.ts";
import type { ArtifactView, MediaStore, UploadView } from "./store-contract.ts";

/** The part of the store that media and results go through. */
export function createMedia(context: StoreContext): MediaStore {
  const { pool } = context;
  return {
    async announceUpload({ sha256, sizeBytes, mediaType }) {
      await runStatement(pool, announceStatement, [sha256, sizeBytes, mediaType]);
    },
    async commitUpload({ tenant, sha256, sizeBytes, mediaType, kind, width, height, frames }) {
      await runStatement(pool, commitUploadStatement, [tenant, sha256, sizeBytes, mediaType, kind, width, height, frames]);
    },
    findUploads: (tenant, sha256s) => findUploads(context, tenant, sha256s),
    artifactOfJob: (tenant, jobId, name) => artifactOfJob(context, { tenant, jobId, name }),
  };
}

/** Those whose bytes are stored. */
async function findUploads({ prisma }: StoreContext, tenant: string, sha256s: readonly string[]): Promise<readonly UploadView[]> {
  const where = { tenantId: tenant, sha256: { in: [...sha256s] }, artifact: { isStored: true } };
  const rows = await read(prisma.upload.findMany({ where, include: { artifact: true }, orderBy: { sha256: "asc" } }));
  return rows.map((row) => ({
    tenant,
    sha256: row.sha256,
    sizeBytes: Number(row.artifact.sizeBytes),
    kind: row.kind === "image" ? "image" : "video",
    width: row.width,
    height: row.height,
    frames: row.frames,
    mediaType: row.mediaType,
  }));
}

type Named = { readonly tenant: string; readonly jobId: string; readonly name: string };

async function artifactOfJob({ prisma }: StoreContext, { tenant, jobId, name }: Named): Promise<ArtifactView | undefined> {
  const render = { job: { id: jobId, tenantId: tenant, state: "succeeded" } };
  const where = { name, task: { users: { some: { artifacts: { has: name }, render } } } };
  const row = await read(prisma.taskOutput.findFirst({ where, include: { artifact: true } }));
  if (row === null) return undefined;
  const { sha256, sizeBytes, mediaType } = row.artifact;
  return { name, sha256, sizeBytes: Number(sizeBytes), mediaType };
}
