/**
 * Dead letters: tasks that failed for good, what was tried, and the renders that they took with them.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/**
 * $1: tenant or null, $2: job or null, $3: pool or null, $4: code or null, $5: stage or null, $6: end of the last one of the page before
 * in microseconds or null, $7: its id, $8: limit, $9: most renders of each. Newest first; only those that a failed render still uses.
 * Indexes: task_failed_idx, attempt_task_id_number_key, task_user_pkey.
 */
export const listFailuresStatement: NamedStatement = {
  name: "vf_list_failures",
  text: `select t.id::double precision as "taskId", t.tenant_id as tenant, t.stage, t.pool, t.model, t.failure_code as code,
      t.failure_message as message, t.ended_at as "endedAt", (extract(epoch from t.ended_at) * 1000000)::bigint::text as "endedMicros",
      (select coalesce(jsonb_agg(jsonb_build_object('attemptId', a.id, 'number', a.number, 'workerId', a.worker_id, 'workerName', a.worker_name,
          'state', a.state, 'code', coalesce(a.error_code, ''), 'errorClass', coalesce(a.error_class, ''), 'message', coalesce(a.error_message, ''),
          'startedAt', a.started_at, 'endedAt', a.ended_at, 'logTail', a.log_tail) order by a.number), '[]')
        from attempt a where a.task_id = t.id) as attempts,
      (select coalesce(jsonb_agg(jsonb_build_object('jobId', h.job_id, 'position', h.position) order by h.job_id, h.position), '[]') from (
        select r.job_id, r.position from task_user u join render r on r.id = u.render_id
        where u.task_id = t.id and r.state = 'failed' order by r.job_id, r.position limit $9) h) as renders,
      (select count(*)::integer from task_user u join render r on r.id = u.render_id where u.task_id = t.id and r.state = 'failed')
        as "renderCount"
    from task t
    where t.state = 'failed' and ($1::text is null or t.tenant_id = $1) and ($3::text is null or t.pool = $3)
      and ($4::text is null or t.failure_code = $4) and ($5::text is null or t.stage = $5)
      and ($6::bigint is null or (t.ended_at, t.id) < (timestamptz 'epoch' + $6 * interval '1 microsecond', $7::bigint))
      and exists (select 1 from task_user u join render r on r.id = u.render_id
                  where u.task_id = t.id and r.state = 'failed' and ($2::text is null or r.job_id = $2))
    order by t.ended_at desc, t.id desc limit $8`,
};

/** $1: tenant or null, $2: task, $3: {openRenders, most, atOnce} as of vf_retry, $4: the farm's pools. Result: as of vf_retry_task. */
export const retryTaskStatement: NamedStatement = {
  name: "vf_retry_task",
  text: "select vf_retry_task($1, $2, $3::jsonb, $4::text[]) as result",
};

/**
 * $1: tenant or null, $2: job, $3: position or null, $4: the farm's pools. Result: a pool that a retry of the job would plan into and that is
 * none of them; null: there is none. Indexes: render_job_id_position_key, task_user_render_id_idx.
 */
export const gonePoolStatement: NamedStatement = {
  name: "vf_gone_pool",
  text: `select (select t.pool from job j join render r on r.job_id = j.id join task_user u on u.render_id = r.id join task t on t.id = u.task_id
    where j.id = $2 and ($1::text is null or j.tenant_id = $1) and ($3::integer is null or r.position = $3)
      and r.state in ('failed', 'cancelled') and t.pool <> all ($4::text[]) limit 1) as result`,
};

/** $1: worker, $2: [{attemptId, logTail}]. What a worker found of attempts that its earlier life lost; the first word stays. */
export const keepLogTailsStatement: NamedStatement = {
  name: "vf_keep_log_tails",
  text: `update attempt a set log_tail = nullif(l."logTail", '') from jsonb_to_recordset($2::jsonb) as l("attemptId" text, "logTail" text)
    where a.id = vf_fence(l."attemptId") and a.worker_id = $1 and a.log_tail is null and a.state <> 'succeeded'`,
};
