/**
 * update: an open job's priority and deadline; its ready tasks are ranked anew.
 *
 * $1: tenant, null: anyone's. $2: job id. $3: {priority?, deadline?}, a deadline of null is taken away.
 * Result: {kind: updated, aftermath} | {kind: ended}, null when there is no such job. Locks: the job's open tasks by id, then the job.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const updateJobStatement: NamedStatement = { name: "vf_update_job", text: "select vf_update_job($1, $2, $3::jsonb) as result" };
