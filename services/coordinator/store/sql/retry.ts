/**
 * retry: opens a job's failed and cancelled renders anew, each with the tasks that its keys have now.
 *
 * $1: tenant, null: anyone's. $2: job id. $3: position of one render, null: all. $4: {openRenders, most: renders of this call, atOnce}.
 * Result: {kind: retried, renders, isWaiting, left: whether to call again, aftermath} | {kind: nothing} | {kind: invalid, missing: [sha256], renders: [{position, spec}]}, null when
 * there is no such job or render.
 * Locks: the keys' tasks by id, their outputs' artifacts, the uploads' artifacts, the job. A job that changed meanwhile is a lost race.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const retryStatement: NamedStatement = { name: "vf_retry", text: "select vf_retry($1, $2, $3, $4::jsonb) as result" };
