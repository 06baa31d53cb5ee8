/**
 * Uploads: the artifact's row first, then its bytes, then the tenant's upload row.
 *
 * Announcing takes a condemned mark away, so that collection leaves the bytes alone that are about to be put.
 * Locks: a resumable upload before artifacts. Indexes: primary keys.
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

/** $1: BeginUpload, $2: most open uploads of the tenant. Result: the id, null when there are too many. */
export const beginUploadStatement: NamedStatement = { name: "vf_begin_upload", text: "select vf_begin_upload($1::jsonb, $2) as result" };

/** $1: tenant, $2: upload, $3: the part. Result: {kind, receivedBytes}, null when the upload is over. */
export const appendPartStatement: NamedStatement = {
  name: "vf_append_upload_part",
  text: "select vf_append_upload_part($1, $2, $3::jsonb) as result",
};

/** $1: upload, $2: what it became. Forgets its parts; an upload that is over has none left. */
export const finishPartsStatement: NamedStatement = {
  name: "vf_finish_upload",
  text: `with finished as (
      update resumable_upload set finished_sha256 = $3 where id = $1 and tenant_id = $2 returning id)
    delete from upload_part p using finished f where p.upload_id = f.id`,
};

/** $1: tenant, $2: upload. Its parts go with it. */
export const dropUploadStatement: NamedStatement = {
  name: "vf_drop_upload",
  text: "delete from resumable_upload where tenant_id = $1 and id = $2",
};

/** $1: tenant, $2: upload. Not one that expired; with the media that it became. */
export const getUploadStatement: NamedStatement = {
  name: "vf_get_upload",
  text: `select r.id, r.file_name, r.size_bytes::double precision as size_bytes, r.sha256,
      r.received_bytes::double precision as received_bytes, r.expires_at, u.sha256 as media_sha256, u.kind, u.width, u.height, u.frames,
      u.media_type, a.size_bytes::double precision as media_bytes
    from resumable_upload r left join upload u on u.tenant_id = r.tenant_id and u.sha256 = r.finished_sha256
    left join artifact a on a.sha256 = u.sha256
    where r.tenant_id = $1 and r.id = $2 and r.expires_at > clock_timestamp()`,
};

/** $1: upload. In order of offset. */
export const listPartsStatement: NamedStatement = {
  name: "vf_list_upload_parts",
  text: `select offset_bytes::double precision as "offsetBytes", sha256, size_bytes::double precision as "sizeBytes"
    from upload_part where upload_id = $1 order by offset_bytes`,
};

/** $1: tenant or null, $2: job, $3: position, $4: name. A result of a render that succeeded. Indexes: render's, task_user's. */
export const renderResultStatement: NamedStatement = {
  name: "vf_render_result",
  text: `select a.sha256, a.size_bytes::double precision as "sizeBytes", a.media_type as "mediaType"
    from render r join job j on j.id = r.job_id join task_user u on u.render_id = r.id
    join task_output o on o.task_id = u.task_id and o.name = $4 join artifact a on a.sha256 = o.sha256
    where r.job_id = $2 and j.removed_at is null and r.position = $3 and r.state = 'succeeded' and ($1::text is null or j.tenant_id = $1) and $4 = any (u.artifacts)
    limit 1`,
};

/** $1: tenant or null, $2: job, $3: position, $4: path in the render's spec. Media that the job's tenant uploaded, while it is stored. */
export const renderInputStatement: NamedStatement = {
  name: "vf_render_input",
  text: `select a.sha256, a.size_bytes::double precision as "sizeBytes", u.media_type as "mediaType"
    from render r join job j on j.id = r.job_id join upload u on u.tenant_id = j.tenant_id and u.sha256 = r.spec #>> $4::text[]
    join artifact a on a.sha256 = u.sha256 and a.is_stored
    where r.job_id = $2 and j.removed_at is null and r.position = $3 and ($1::text is null or j.tenant_id = $1)`,
};
