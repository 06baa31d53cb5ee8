/**
 * Uploads: the artifact's row first, then its bytes, then the tenant's upload row.
 *
 * Announcing takes a condemned mark away, so that collection leaves the bytes alone that are about to be put.
 * Locks: the artifact. Indexes: primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: sha256, $2: size in bytes, $3: media type. */
export const announceStatement: NamedStatement = {
  name: "vf_announce_upload",
  text: `insert into artifact (sha256, size_bytes, media_type) values ($1, $2, $3)
    on conflict (sha256) do update set announced_at = clock_timestamp(), condemned_at = null`,
};

/** $1: tenant, $2: sha256, $3: size in bytes, $4: media type, $5: kind, $6: width, $7: height, $8: frames. */
export const commitUploadStatement: NamedStatement = {
  name: "vf_commit_upload",
  text: `with owner as (insert into tenant (id) values ($1) on conflict do nothing),
    stored as (
      insert into artifact (sha256, size_bytes, media_type, is_stored) values ($2, $3, $4, true)
      on conflict (sha256) do update set is_stored = true, condemned_at = null)
    insert into upload (tenant_id, sha256, media_type, kind, width, height, frames) values ($1, $2, $4, $5, $6, $7, $8)
    on conflict (tenant_id, sha256) do update set created_at = clock_timestamp()`,
};
