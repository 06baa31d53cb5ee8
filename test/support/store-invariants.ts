/**
 * What must hold of the store between any two transactions, whoever wrote them.
 */
import { expect } from "vitest";

/** Anything that answers queries on a farm's database. */
type Asked = { sql(query: string): Promise<readonly unknown[]> };

/** Fails with whatever breaks one of them. */
export async function checkInvariants(farm: Asked): Promise<void> {
  const broken = await farm.sql(`
    select 'inputs_missing', t.id::text from task t where t.state = 'blocked' and t.inputs_missing <> vf_inputs_missing(t.id)
    union all select 'ready without row', t.id::text from task t where t.state = 'ready' and not exists (select 1 from ready q where q.task_id = t.id)
    union all select 'row without ready', q.task_id::text from ready q join task t on t.id = q.task_id where t.state <> 'ready'
    union all select 'running without owner', t.id::text from task t where t.state = 'running' and not exists (
      select 1 from attempt a join session s on s.id = a.session_id where a.id = t.current_attempt and a.state = 'running')
    union all select 'owner without running', a.id::text from attempt a join task t on t.id = a.task_id
      where a.state = 'running' and t.current_attempt is distinct from a.id
    union all select 'unbooked', a.id::text from attempt a where a.state <> 'running'
      and (select count(*) from usage u where u.attempt_id = a.id) <> 1
    union all select 'unused', t.id::text from task t where t.state in ('blocked', 'ready', 'delayed') and not vf_is_wanted(t.id)
    union all select 'two results', o.task_id::text from task_output o group by o.task_id, o.name having count(*) > 1
    union all select 'result of none', o.task_id::text from task_output o join task t on t.id = o.task_id where t.state <> 'succeeded'
    union all select 'lost job', j.id from job j where j.state in ('queued', 'running') and not exists (
      select 1 from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id
      where r.job_id = j.id and u.is_wanted and t.state in ('blocked', 'ready', 'running', 'delayed'))
      and not exists (select 1 from render r where r.job_id = j.id and r.is_waiting)
    union all select 'waiting miscounted', coalesce(a.job_id, w.job_id)
      from (select r.job_id, r.pool, count(*) as renders from render r where r.is_waiting group by r.job_id, r.pool) a
      full join waiting w on w.job_id = a.job_id and w.pool = a.pool where a.renders is distinct from w.renders
    union all select 'wanted by an ended render', u.render_id::text from task_user u join render r on r.id = u.render_id
      where u.is_wanted <> (r.state in ('queued', 'running') and not r.is_waiting)
    union all select 'render of another state', r.id::text from render r join lateral (
        select bool_or(t.state in ('failed', 'cancelled') and not vf_is_score(t.stage)) as is_dead,
          bool_and(t.state = 'succeeded' or (t.state in ('failed', 'cancelled') and vf_is_score(t.stage))) as is_done
        from task_user u join task t on t.id = u.task_id where u.render_id = r.id) tasks on true
      where r.state in ('queued', 'running') and not r.is_waiting and (tasks.is_dead or tasks.is_done)
    union all select 'lost render', r.id::text from render r where r.state in ('queued', 'running') and not r.is_waiting and not exists (
      select 1 from task_user u join task t on t.id = u.task_id
      where u.render_id = r.id and u.is_wanted and t.state in ('blocked', 'ready', 'running', 'delayed'))
    union all select 'miscounted job', j.id from job j
      where array[j.render_queued, j.render_running, j.render_succeeded, j.render_failed, j.render_cancelled]::bigint[] <> (
        select array[count(*) filter (where r.state = 'queued'), count(*) filter (where r.state = 'running'),
          count(*) filter (where r.state = 'succeeded'), count(*) filter (where r.state = 'failed'),
          count(*) filter (where r.state = 'cancelled')] from render r where r.job_id = j.id)
    union all select 'job of another state', j.id from job j where j.state <> case
      when j.render_queued + j.render_running > 0 then case when j.state = 'queued' then 'queued' else 'running' end
      when j.render_failed > 0 then 'failed' when j.render_cancelled > 0 then 'cancelled' else 'succeeded' end
    union all select 'ranked wrongly', q.task_id::text from ready q where q.priority <> (
      select max(j.priority) from task_user u join render r on r.id = u.render_id join job j on j.id = r.job_id
      where u.task_id = q.task_id and u.is_wanted)
    union all select 'checkpoint of an ended task', k.task_id::text from task_checkpoint k join task t on t.id = k.task_id
      where t.state not in ('blocked', 'ready', 'running', 'delayed')
    union all select 'event gap', e.job_id from event e group by e.job_id having max(e.number) <> count(*)
    union all select 'events uncounted', j.id from job j where j.last_event <> (select count(*) from event e where e.job_id = j.id)
    union all select 'ended twice', e.job_id from (
        select e.job_id, e.job_state, lag(e.job_state) over (partition by e.job_id order by e.number) as before
        from event e where e.job_state is not null) e
      where e.job_state in ('succeeded', 'failed', 'cancelled') and e.before in ('succeeded', 'failed', 'cancelled')`);
  expect(broken).toEqual([]);
}
