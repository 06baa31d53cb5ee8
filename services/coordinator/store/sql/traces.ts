/**
 * What traces are made of. Reads of one render or of some attempts; none is made unless the farm traces.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: job, $2: traceparent. In the transaction that stores the job. */
export const keepJobTraceStatement: NamedStatement = {
  name: "vf_keep_job_trace",
  text: "insert into job_trace (job_id, traceparent) values ($1, $2)",
};

const owner = `jsonb_build_object('jobId', r.job_id, 'position', r.position, 'renders', j.render_total, 'traceparent', k.traceparent)`;
const ownerTables = "render r join job j on j.id = r.job_id left join job_trace k on k.job_id = j.id";

/** $1: attempts. Of each the first render that used its task. Indexes: attempt_pkey, task_user_pkey, primary keys. */
export const attemptOwnersStatement: NamedStatement = {
  name: "vf_attempt_owners",
  text: `select ${owner} || jsonb_build_object('attemptId', a.id, 'taskId', a.task_id) as result
    from attempt a cross join lateral (select u.render_id from task_user u where u.task_id = a.task_id order by u.render_id limit 1) first
    join ${ownerTables} on r.id = first.render_id
    where a.id = any ($1::uuid[])`,
};

/** $1: job, $2: position, or null for the only one of a job of one. Index: render_job_id_position_key. */
export const renderOwnerStatement: NamedStatement = {
  name: "vf_render_owner",
  text: `select ${owner} as result from ${ownerTables}
    where r.job_id = $1 and r.position = coalesce($2::integer, 0) and ($2::integer is not null or j.render_total = 1)`,
};

const ms = (column: string): string => `extract(epoch from ${column}) * 1000`;

/**
 * $1: job, $2: position, $3: most attempts of a task. Only of a render that has ended. Indexes: render_job_id_position_key,
 * task_user_render_id_idx, task_user_pkey, attempt_task_id_number_key, primary keys.
 */
export const tracedRenderStatement: NamedStatement = {
  name: "vf_traced_render",
  text: `select ${owner} || jsonb_build_object('state', r.state, 'code', r.failure_code, 'model', r.spec ->> 'model', 'pool', r.pool,
      'tenant', j.tenant_id, 'jobClass', j.job_class, 'createdMs', ${ms("j.created_at")}, 'endedMs', ${ms("r.ended_at")},
      'earlierEndMs', (select ${ms("max(t.ended_at)")} from former_use f join task t on t.id = f.task_id where f.render_id = r.id),
      'tasks', coalesce((
        select jsonb_agg(jsonb_build_object('taskId', t.id, 'stage', t.stage, 'label', u.label, 'pool', t.pool, 'model', t.model,
            'createdMs', ${ms("t.created_at")},
            'readyMs', ${ms(`greatest(t.created_at, (
              select max(p.ended_at) from task_input i join task p on p.id = i.producer_id where i.task_id = t.id))`)},
            'owner', first.owner,
            'attempts', coalesce((select jsonb_agg(jsonb_build_object('attemptId', a.id, 'number', a.number, 'state', a.state,
                'startedMs', ${ms("a.started_at")}, 'endedMs', ${ms("a.ended_at")}, 'beganMs', ${ms("a.began_at")},
                'workerName', a.worker_name, 'provider', a.provider, 'code', a.error_code,
                'loadMs', a.load_ms, 'computeMs', a.compute_ms, 'deviceMs', a.device_ms) order by a.number)
              from (select * from attempt where task_id = t.id order by number desc limit $3) a), '[]')) order by u.position)
        from task_user u join task t on t.id = u.task_id cross join lateral (
          select ${owner} as owner
          from (select o.render_id from task_user o where o.task_id = t.id order by o.render_id limit 1) f join ${ownerTables} on r.id = f.render_id
        ) first
        where u.render_id = r.id), '[]')) as result
    from ${ownerTables}
    where r.job_id = $1 and r.position = $2 and r.ended_at is not null`,
};
