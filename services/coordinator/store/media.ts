/**
 * Uploads and artifacts as clients ask for them: always through a tenant or a job, never by knowing a hash.
 */
import { runStatement } from "../../platform/database/pool.ts";
import { announceStatement, commitUploadStatement, renderInputStatement, renderResultStatement } from "./sql/uploads.ts";
import { read, type StoreContext } from "./store-context.ts";
import type { ArtifactName, ArtifactView, MediaStore, TenantScope, UploadView } from "./store-contract.ts";
import { createUploads, uploadValues } from "./uploads.ts";

/** The part of the store that media and results go through. */
export function createMedia(context: StoreContext): MediaStore {
  const { pool } = context;
  return {
    ...createUploads(context),
    async announceUpload({ sha256, sizeBytes, mediaType }) {
      await runStatement(pool, announceStatement, [sha256, sizeBytes, mediaType]);
    },
    async commitUpload(upload) {
      await runStatement(pool, commitUploadStatement, uploadValues(upload));
    },
    findUploads: (tenant, sha256s) => findUploads(context, tenant, sha256s),
    artifactOfRender: (scope, artifact) => artifactOfRender(context, scope, artifact),
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

const referencePattern = /^input_reference_(?<number>[1-9]\d{0,2})$/;

/** Where a render's spec names the media, undefined for the name of a result. */
function specPathOf(name: string): readonly string[] | undefined {
  if (name === "input_image") return ["image", "sha256"];
  const number = referencePattern.exec(name)?.groups?.["number"];
  return number === undefined ? undefined : ["references", String(Number(number) - 1), "sha256"];
}

async function artifactOfRender({ pool }: StoreContext, scope: TenantScope, artifact: ArtifactName): Promise<ArtifactView | undefined> {
  const { jobId, position, name } = artifact;
  const path = specPathOf(name);
  const [statement, what] = path === undefined ? [renderResultStatement, name] : [renderInputStatement, [...path]];
  const [row] = await runStatement<Omit<ArtifactView, "name">>(pool, statement, [scope ?? null, jobId, position, what]);
  return row === undefined ? undefined : { name, ...row };
}
