/**
 * cancel: ends a job for its client; tasks that nobody else uses are cancelled, or pushed as unwanted while they run.
 *
 * $1: tenant. $2: job id. Result: aftermath, null when the tenant has no such job; cancelling an ended job changes nothing.
 * Locks: the job's open tasks by id, then the job. Indexes: task_user_render_id_idx, primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const cancelStatement: NamedStatement = { name: "vf_cancel", text: "select vf_cancel($1, $2) as result" };
