/**
 * submit: one job with its renders, tasks, users, inputs and first events, or nothing.
 *
 * $1: as submit-payload makes it, $2: Limits of store-context.
 * Result: {kind: stored, jobId, isWaiting, aftermath} | {kind: full, what, most} | {kind: repeated | conflict, jobId} | {kind: invalid, missing: [sha256]}.
 * Locks: the new job's id and key, the keys' tasks by id, their outputs' artifacts, the uploads' artifacts.
 * Indexes: job_tenant_id_idempotency_key_key, task_content_key_current_key, ready's and users' primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const submitStatement: NamedStatement = { name: "vf_submit", text: "select vf_submit($1::jsonb, $2::jsonb) as result" };

/** A manifest's job: begun here, then its renders in parts, then finished, in one transaction. $1: the job, $2: Limits. */
export const beginManifestStatement: NamedStatement = {
  name: "vf_begin_manifest",
  text: "select vf_begin_manifest($1::jsonb, $2::jsonb) as result",
};

/** $1: job, $2: position of the first, $3: [{spec, modelWeights, fps, modelDigest, pool}], $4: whether they wait. */
export const addRendersStatement: NamedStatement = {
  name: "vf_add_renders",
  text: "select vf_add_renders($1, $2, $3::jsonb, $4)::text as result",
};

/** $1: job. Result: {kind: stored, jobId, aftermath} | {kind: invalid, missing: [sha256]}, and then nothing may be committed. */
export const finishManifestStatement: NamedStatement = { name: "vf_finish_manifest", text: "select vf_finish_manifest($1) as result" };
