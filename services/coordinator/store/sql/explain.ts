/**
 * What is read to explain why a job's tasks wait: one statement, one snapshot.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/**
 * $1: job, $2: tenant or null, $3: position or null, $4: most tasks. Result: ExplainFacts of domain/explain; no row when there is no such
 * job or render. Tasks that wait for something else than other tasks come first. What is ahead of a ready task leaves out what is held.
 * Renders that wait for a window have no tasks; they are counted by pool.
 * Indexes: render_job_id_position_key, render_waiting_idx, render_open_idx, task_user_render_id_idx, ready_order_idx, attempt_session_running_idx.
 */
export const explainFactsStatement: NamedStatement = {
  name: "vf_explain_facts",
  text: `with used as (
      select distinct on (u.task_id) u.task_id, u.label, r.position from render r join task_user u on u.render_id = r.id and u.is_wanted
      where r.job_id = $1 and ($3::integer is null or r.position = $3) order by u.task_id, r.position),
    open as (
      select t.*, used.label, used.position from used join task t on t.id = used.task_id
      where t.state in ('blocked', 'ready', 'running', 'delayed')),
    shown as (
      select * from open order by array_position(array['ready', 'delayed', 'running', 'blocked'], state), position, id limit $4),
    line as (
      select q.task_id, q.avoid,
        count(*) filter (where not exists (select 1 from hold h where h.scope = 'tenant' and h.name = q.tenant_id)) over (
          partition by q.pool, q.shape order by q.class_rank, q.priority desc, q.queued_at, q.task_id
          rows between unbounded preceding and 1 preceding) as ahead
      from ready q where (q.pool, q.shape) in (select s.pool, s.shape from shown s where s.state = 'ready'))
    select j.state as "jobState", (select count(*)::integer from open) as "openTasks",
      coalesce((
        select jsonb_agg(jsonb_build_object('taskId', s.id, 'stage', s.stage, 'label', s.label, 'renderPosition', s.position,
          'tenant', s.tenant_id, 'pool', s.pool, 'shape', s.shape, 'model', s.model, 'state', s.state, 'failures', s.failures,
          'missing', coalesce((
            select jsonb_agg(jsonb_build_object('taskId', p.id, 'stage', p.stage, 'state', p.state) order by p.id)
            from task p where p.state <> 'succeeded' and s.state = 'blocked'
              and p.id in (select i.producer_id from task_input i where i.task_id = s.id)), '[]'),
          'delayMs', greatest(0, coalesce(extract(epoch from s.delayed_until - clock_timestamp()) * 1000, 0)),
          'ahead', coalesce(line.ahead, 0), 'avoid', coalesce(line.avoid, '{}'), 'workerName', a.worker_name, 'keptStep', k.step)
          order by array_position(array['ready', 'delayed', 'running', 'blocked'], s.state), s.position, s.id)
        from shown s left join line on line.task_id = s.id left join attempt a on a.id = s.current_attempt
          left join task_checkpoint k on k.task_id = s.id), '[]') as tasks,
      coalesce((
        select jsonb_agg(jsonb_build_object('workerId', w.id, 'name', w.name, 'pool', w.pool,
          'shapes', array(select unnest(w.shapes) intersect select s.shape from shown s order by 1),
          'isLive', coalesce(se.is_live and se.lease_until > clock_timestamp(), false),
          'isCordoned', exists (select 1 from cordon c where c.worker_id = w.id),
          'isBusy', exists (
            select 1 from attempt a where a.session_id = se.id and a.state = 'running' and not exists (
              select 1 from jsonb_array_elements(se.progress) p
              where vf_fence(p ->> 'attemptId') = a.id and p ->> 'phase' = 'finish'))) order by w.name, w.id)
        from worker w left join session se on se.id = w.session_id where w.pool in (select s.pool from shown s)), '[]') as workers,
      coalesce((
        select jsonb_agg(jsonb_build_object('scope', h.scope, 'name', h.name, 'reason', h.reason) order by h.scope, h.name)
        from hold h), '[]') as holds,
      coalesce((
        select jsonb_agg(jsonb_build_object('pool', w.pool, 'renders', w.renders, 'open', (
            select count(*) from render o where o.pool = w.pool and o.state in ('queued', 'running') and not o.is_waiting)) order by w.pool)
        from (select r.pool, count(*) as renders from render r
              where r.job_id = j.id and r.is_waiting and ($3::integer is null or r.position = $3) group by r.pool) w), '[]') as waiting
    from job j where j.id = $1 and j.removed_at is null and ($2::text is null or j.tenant_id = $2)
      and ($3::integer is null or exists (select 1 from render r where r.job_id = j.id and r.position = $3))`,
};
