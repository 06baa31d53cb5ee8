/**
 * submit: one job with its render, tasks, users, inputs and first events.
 *
 * $1: SubmitJob and `uploads`, the hashes that its tasks start from.
 * Result: {kind: stored, jobId, aftermath} | {kind: repeated | conflict, jobId} | {kind: invalid, missing: [sha256]}.
 * Locks: uploads' artifacts, the keys' tasks in key order, their outputs' artifacts, the new job.
 * Indexes: job_tenant_id_idempotency_key_key, task_content_key_current_key, ready's and users' primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const submitStatement: NamedStatement = { name: "vf_submit", text: "select vf_submit($1::jsonb) as result" };
