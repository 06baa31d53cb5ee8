/**
 * submit: one job with its renders, tasks, users, inputs and first events, or nothing.
 *
 * $1: as submit-payload makes it.
 * Result: {kind: stored, jobId, aftermath} | {kind: repeated | conflict, jobId} | {kind: invalid, missing: [sha256]}.
 * Locks: the new job's id and key, the keys' tasks by id, their outputs' artifacts, the uploads' artifacts.
 * Indexes: job_tenant_id_idempotency_key_key, task_content_key_current_key, ready's and users' primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const submitStatement: NamedStatement = { name: "vf_submit", text: "select vf_submit($1::jsonb) as result" };
