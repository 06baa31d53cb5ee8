/**
 * cancel: ends a job's open renders for its client; tasks that nobody else uses are cancelled, or pushed as unwanted while they run.
 *
 * $1: tenant, null: anyone's. $2: job id. $3: position of one render, null: all. $4: most renders that wait. Result: {left, aftermath},
 * null when there is no such job or render; what has ended stays as it is. `left`: call again, more wait.
 * Locks: the renders' open tasks by id, then the job. Indexes: task_user_render_id_idx, primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const cancelStatement: NamedStatement = { name: "vf_cancel", text: "select vf_cancel($1, $2, $3, $4) as result" };
