/**
 * Workers as people see them, and who could be woken. Indexes: primary keys, attempt_session_running_idx, task_user's.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/**
 * Each with its newest session, its cordon, its health and what it runs; for a task that several renders want, the first of them that the scope may
 * see: a job of another tenant is not named. $1: tenant, null: anyone's.
 */
const workers = `select w.id, w.name, w.host, w.pool, w.provider, w.profile, w.device, w.models, w.shapes, w.software_version,
    w.memory_bytes::double precision as memory_bytes, s.last_heard_at, s.end_reason,
    coalesce(s.is_live and s.lease_until > clock_timestamp(), false) as is_live, coalesce(s.progress, '[]') as progress,
    c.reason as cordon_reason, c.placed_by as cordon_placed_by, c.placed_at as cordon_placed_at, c.drain_at,
    coalesce(c.is_drained, false) as is_drained, h.state as health_state, h.reason as health_reason, h.since as health_since,
    h.ends_at as health_ends_at, coalesce(h.spells, 0) as health_spells,
    coalesce((
      select jsonb_agg(jsonb_build_object('shape', q.shape, 'endsAt', q.ends_at, 'failures', q.failures, 'code', q.code, 'message', q.message)
        order by q.shape)
      from quarantine q where q.worker_id = w.id and q.ends_at > clock_timestamp()
        and q.software_version = w.software_version and q.profile = w.profile), '[]') as quarantines,
    coalesce((
      select jsonb_agg(jsonb_build_object('attemptId', a.id, 'taskId', t.id, 'stage', t.stage,
        'jobId', coalesce(wanted.job_id, ''), 'renderPosition', coalesce(wanted.position, 0),
        'elapsedMs', greatest(0, extract(epoch from clock_timestamp() - a.started_at) * 1000)) order by a.started_at)
      from attempt a join task t on t.id = a.task_id left join lateral (
        select r.job_id, r.position from task_user u join render r on r.id = u.render_id
        where u.task_id = t.id and u.is_wanted
          and ($1::text is null or exists (select 1 from job j where j.id = r.job_id and j.tenant_id = $1)) order by r.job_id, r.position limit 1) wanted on true
      where a.session_id = s.id and a.state = 'running'), '[]') as running
  from worker w left join session s on s.id = w.session_id left join cordon c on c.worker_id = w.id
    left join worker_health h on h.worker_id = w.id`;

/** $1: tenant whose jobs are named, null: anyone's. Every worker. */
export const listWorkersStatement: NamedStatement = { name: "vf_list_workers", text: `${workers} order by w.pool, w.name, w.id` };

/** $1: as above. $2: an id, or a name that only one worker has. An id that is another's name is the id. */
export const findWorkerStatement: NamedStatement = {
  name: "vf_find_worker",
  text: `${workers} where w.id = $2 or (not exists (select 1 from worker o where o.id = $2)
    and w.name = $2 and not exists (select 1 from worker o where o.name = $2 and o.id <> w.id))`,
};

/**
 * $1: pool, $2: shape, $3: limit. Those with the engine resident first, then those heard of last; none that would get nothing, or has not the
 * memory.
 */
export const idleWorkersStatement: NamedStatement = {
  name: "vf_idle_workers",
  text: `select w.id from worker w join session s on s.id = w.session_id
    where w.pool = $1 and $2 = any (w.shapes) and s.is_live and s.is_idle and s.lease_until > clock_timestamp() and vf_may_claim($1, w.id)
      and vf_worker_class(w.memory_bytes) >= vf_memory_class(coalesce((select e.memory_bytes from shape_need e where e.shape = $2), 0))
    order by (split_part($2, '/', 2) = any (w.resident_engines)) desc, s.last_heard_at desc limit $3`,
};
