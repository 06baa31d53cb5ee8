/**
 * What is read to explain why a job's tasks wait: one statement, one snapshot.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/**
 * $1: job, $2: tenant or null, $3: position or null, $4: most tasks, $5: the window of a pool. Result: ExplainFacts of domain/explain; no row when there is no such
 * job or render. Tasks that wait for something else than other tasks come first. What is ahead of a ready task leaves out what is held
 * or at its tenant's limit. A class below its floor is not foreseen.
 * Renders that wait for a window have no tasks; they are counted by pool, and so is what takes a place in its window.
 * Indexes: render_job_id_position_key, render_waiting_idx, render_open_idx, task_user_render_id_idx, ready_lane_idx, attempt_session_running_idx.
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
    tenants as materialized (
      select t.tenant_id, not exists (select 1 from hold h where h.scope = 'tenant' and h.name = t.tenant_id)
          and (l.max_running is null or l.max_running > (
            select count(*) from attempt a where a.tenant_id = t.tenant_id and a.state = 'running')) as may, coalesce(l.weight, 1) as weight
      from (select distinct q.tenant_id from ready q) t left join tenant_limit l on l.tenant_id = t.tenant_id),
    shut as (
      select q.worker_id, q.shape from quarantine q join worker w on w.id = q.worker_id
      where q.ends_at > clock_timestamp() and (w.software_version, w.profile) = (q.software_version, q.profile)),
    line as (
      select q.task_id, q.avoid, q.memory_bytes, up_to_level - of_level as better, up_to_tenant - of_tenant - up_to_level + of_level as fairer,
        before - up_to_tenant + of_tenant as own
      from (
        select q.task_id, q.avoid, q.memory_bytes,
          count(*) filter (where q.may) over (partition by q.pool, q.shape order by q.class_rank, q.priority desc) as up_to_level,
          count(*) filter (where q.may) over (partition by q.pool, q.shape, q.class_rank, q.priority) as of_level,
          count(*) filter (where q.may) over (
            partition by q.pool, q.shape order by q.class_rank, q.priority desc, q.share, q.tenant_id) as up_to_tenant,
          count(*) filter (where q.may) over (partition by q.pool, q.shape, q.class_rank, q.priority, q.tenant_id) as of_tenant,
          count(*) filter (where q.may) over (partition by q.pool, q.shape order by q.class_rank, q.priority desc, q.share, q.tenant_id,
            q.due_at, q.tasks_left, q.queued_at, q.task_id rows between unbounded preceding and 1 preceding) as before
        from (
          select q.*, t.may, coalesce(s.charged, 0) / t.weight as share
          from ready q join tenants t on t.tenant_id = q.tenant_id left join tenant_share s on s.pool = q.pool and s.tenant_id = q.tenant_id
          where (q.pool, q.shape) in (select s.pool, s.shape from shown s where s.state = 'ready')) q) q)
    select j.state as "jobState", (select count(*)::integer from open) as "openTasks",
      coalesce((
        select jsonb_agg(jsonb_build_object('taskId', s.id, 'stage', s.stage, 'label', s.label, 'renderPosition', s.position,
          'tenant', s.tenant_id, 'pool', s.pool, 'shape', s.shape, 'model', s.model, 'state', s.state, 'failures', s.failures,
          'missing', coalesce((
            select jsonb_agg(jsonb_build_object('taskId', p.id, 'stage', p.stage, 'state', p.state) order by p.id)
            from task p where p.state <> 'succeeded' and s.state = 'blocked'
              and p.id in (select i.producer_id from task_input i where i.task_id = s.id)), '[]'),
          'delayMs', greatest(0, coalesce(extract(epoch from s.delayed_until - clock_timestamp()) * 1000, 0)),
          'ahead', jsonb_build_object('better', coalesce(line.better, 0), 'fairer', coalesce(line.fairer, 0), 'own', coalesce(line.own, 0)),
          'memoryBytes', greatest(s.memory_bytes, line.memory_bytes, (select n.memory_bytes from shape_need n where n.shape = s.shape)), 'avoid', coalesce(line.avoid, '{}'), 'workerName', a.worker_name, 'keptStep', k.step,
          'makesWay', exists (select 1 from preemption p where p.attempt_id = a.id and (p.closed_at is null or p.outcome = 'given')),
          'slotOn', (select w.name from preemption p join worker w on w.id = p.worker_id
            where p.beneficiary_id = s.id and p.closed_at is null),
          'overBudget', case when not vf_job_may_start(s.id) then (select p.reason from job_stop p where p.job_id = $1) end)
          order by array_position(array['ready', 'delayed', 'running', 'blocked'], s.state), s.position, s.id)
        from shown s left join line on line.task_id = s.id left join attempt a on a.id = s.current_attempt
          left join task_checkpoint k on k.task_id = s.id), '[]') as tasks,
      coalesce((
        select jsonb_agg(jsonb_build_object('workerId', w.id, 'name', w.name, 'pool', w.pool,
          'shapes', array((select unnest(w.shapes) union select q.shape from shut q where q.worker_id = w.id)
            intersect select s.shape from shown s order by 1),
          'quarantined', array(select q.shape from shut q where q.worker_id = w.id order by 1),
          'health', coalesce((
            select case when h.state = 'suspended' and h.ends_at <= clock_timestamp() then 'probation' else h.state end
            from worker_health h where h.worker_id = w.id), 'healthy'),
          'memoryBytes', w.memory_bytes, 'isLive', coalesce(se.is_live and se.lease_until > clock_timestamp(), false),
          'isCordoned', exists (select 1 from cordon c where c.worker_id = w.id),
          'isBusy', exists (
            select 1 from attempt a where a.session_id = se.id and a.state = 'running' and not exists (
              select 1 from jsonb_array_elements(se.progress) p
              where vf_fence(p ->> 'attemptId') = a.id and p ->> 'phase' = 'finish'))) order by w.name, w.id)
        from worker w left join session se on se.id = w.session_id where w.pool in (select s.pool from shown s)), '[]') as workers,
      coalesce((
        select jsonb_agg(jsonb_build_object('scope', h.scope, 'name', h.name, 'reason', h.reason, 'origin', h.origin)
          order by h.scope, h.name, h.origin)
        from hold h), '[]') as holds,
      coalesce((
        select jsonb_agg(jsonb_build_object('tenant', l.tenant_id, 'maxRunning', l.max_running,
          'running', (select count(*) from attempt a where a.tenant_id = l.tenant_id and a.state = 'running')))
        from tenant_limit l where l.max_running is not null and l.tenant_id in (select s.tenant_id from shown s union all select j.tenant_id)), '[]') as limits,
      case when j.deadline < clock_timestamp() then 'missed' when j.deadline_told <> 'nothing' then j.deadline_told end as deadline,
      coalesce((
        select jsonb_agg(jsonb_build_object('pool', w.pool, 'tenant', j.tenant_id, 'renders', w.renders,
          'overBudget', (select p.reason from job_stop p where p.job_id = j.id), 'open', (
            select count(*) from render o where o.pool = w.pool and o.state in ('queued', 'running') and not o.is_waiting)
            - coalesce((select sum(i.renders) from vf_idle_renders(w.pool, $5::integer) i), 0)) order by w.pool)
        from (select r.pool, count(*) as renders from render r
              where r.job_id = j.id and r.is_waiting and ($3::integer is null or r.position = $3) group by r.pool) w), '[]') as waiting,
      coalesce((
        select jsonb_agg(jsonb_build_object('pool', p.pool, 'desired', p.desired, 'loadMs', p.load_ms, 'reason', p.reason) order by p.pool)
        from pool_scale p where p.decided_at > clock_timestamp() - interval '10 minutes'
          and p.pool in (select s.pool from shown s)), '[]') as scaled
    from job j where j.id = $1 and j.removed_at is null and ($2::text is null or j.tenant_id = $2)
      and ($3::integer is null or exists (select 1 from render r where r.job_id = j.id and r.position = $3))`,
};
