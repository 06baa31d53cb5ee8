/**
 * What people and metrics look at, and who could be woken.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** Every worker with its newest session and what it runs. */
export const listWorkersStatement: NamedStatement = {
  name: "vf_list_workers",
  text: `select w.id, w.name, w.host, w.pool, w.provider, w.profile, w.device, w.models, s.last_heard_at, s.end_reason,
      coalesce(s.is_live and s.lease_until > clock_timestamp(), false) as is_live, coalesce(s.progress, '[]') as progress,
      coalesce((
        select jsonb_agg(jsonb_build_object('attemptId', a.id, 'taskId', t.id, 'stage', t.stage, 'jobId', coalesce((
          select min(r.job_id) from task_user u join render r on r.id = u.render_id where u.task_id = t.id and u.is_wanted), ''))
          order by a.started_at)
        from attempt a join task t on t.id = a.task_id where a.session_id = s.id and a.state = 'running'), '[]') as running
    from worker w left join session s on s.id = w.session_id order by w.pool, w.name, w.id`,
};

/** Open tasks by pool, stage and state. Index: task_open_idx. */
export const queueCountsStatement: NamedStatement = {
  name: "vf_queue_counts",
  text: `select pool, stage, state, count(*)::integer as count from task
    where state in ('blocked', 'ready', 'running', 'delayed') group by pool, stage, state`,
};

/** $1: pool, $2: shape, $3: limit. Those with the engine resident first, then those heard of last. */
export const idleWorkersStatement: NamedStatement = {
  name: "vf_idle_workers",
  text: `select w.id from worker w join session s on s.id = w.session_id
    where w.pool = $1 and $2 = any (w.shapes) and s.is_live and s.is_idle and s.lease_until > clock_timestamp()
    order by (split_part($2, '/', 2) = any (w.resident_engines)) desc, s.last_heard_at desc limit $3`,
};

/** $1: the farm's name, kept by the first that asks. Result: name and epoch. */
export const claimFarmStatement: NamedStatement = {
  name: "vf_claim_farm",
  text: "update farm set name = coalesce(name, $1) returning name, epoch",
};

export const pingStatement: NamedStatement = { name: "vf_ping", text: "select 1" };
