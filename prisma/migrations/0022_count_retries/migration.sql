-- What a commit tells those who count: tasks that run again after a failure, by its class, and tasks that renders found done. Told once,
-- with the aftermath, by whichever commit made it so. What an older coordinator does not read does not matter to it.

-- "reused": [{stage, count}]; the rest is as before.
create or replace function vf_no_effects() returns jsonb language sql immutable as $$
  select '{"ready": [], "events": [], "jobs": [], "cancels": [], "pushes": [], "reused": []}'::jsonb;
$$;

-- Tasks that a failure lets run again, by the class that it was charged as: [{errorClass, count}]. One that cost its task nothing (it had not
-- begun there, or its checkpoint was lost) counts as what happened. Index: attempt_task_id_number_key.
create function vf_retried(fx jsonb) returns jsonb language sql volatile as $$
  select coalesce(jsonb_agg(jsonb_build_object('errorClass', g.error_class, 'count', g.count)), '[]') from (
    select coalesce(last.error_class, 'unexplained') as error_class, count(*)
    from (select distinct (e ->> 'task')::bigint as id from jsonb_array_elements(fx -> 'events') e where e ->> 'kind' = 'task.retried') t
    cross join lateral (
      select a.error_class from attempt a where a.task_id = t.id and a.state <> 'running' order by a.number desc limit 1) last
    group by 1) g;
$$;

create or replace function vf_flush(fx jsonb) returns jsonb language plpgsql as $$
declare
  v_id text;
  v_job job;
  v_touched text[] := '{}';
  v_retried constant jsonb := vf_retried(fx);
begin
  for v_id in
    select e ->> 'job' from jsonb_array_elements((fx -> 'events') || (fx -> 'cancels')) e
    union select jsonb_array_elements_text(fx -> 'jobs') order by 1
  loop
    select j.* into v_job from job j where j.id = v_id for no key update;
    continue when v_job.state not in ('queued', 'running');
    fx := vf_settle_job(fx, v_job);
    if exists (select 1 from job j where j.id = v_id and j.last_event > v_job.last_event) then
      v_touched := array_append(v_touched, v_id);
    end if;
  end loop;
  return jsonb_build_object(
    'ready', coalesce((select jsonb_agg(jsonb_build_object('pool', g.pool, 'shape', g.shape, 'count', g.count)) from (
        select q.pool, q.shape, count(*) from ready q
        where q.task_id in (select value::bigint from jsonb_array_elements_text(fx -> 'ready')) group by q.pool, q.shape) g), '[]'),
    'touchedJobIds', to_jsonb(v_touched),
    'pushes', fx -> 'pushes',
    'retried', v_retried,
    'reused', fx -> 'reused');
end $$;

-- Of the tasks that renders are given, those whose content key was found done are told by stage.
create or replace function vf_wire_tasks(fx jsonb, p_tasks jsonb, p_ids bigint[], p_fresh bigint[]) returns jsonb language plpgsql as $$
declare
  v_shared bigint[];
begin
  insert into task_input (task_id, name, upload_sha256, producer_id, producer_output)
  with planned as materialized (
    select t.value, k.id, t.value ->> 'contentKey' as key
    from jsonb_array_elements(p_tasks) with ordinality t(value, ord) join unnest(p_ids) with ordinality k(id, ord) on k.ord = t.ord)
  select c.id, i.value ->> 'name', i.value -> 'source' ->> 'sha256', p.id, i.value -> 'source' ->> 'output'
  from unnest(p_fresh) f(id) join planned c on c.id = f.id
  cross join lateral jsonb_array_elements(c.value -> 'inputs') i
  left join planned p on p.key = i.value -> 'source' ->> 'contentKey';
  update task t set inputs_missing = m.missing
  from (select i.task_id, count(*)::integer as missing from task_input i join task p on p.id = i.producer_id
        where i.task_id = any (p_fresh) and p.state <> 'succeeded' group by i.task_id) m
  where t.id = m.task_id;
  fx := vf_requeue_all(fx, p_fresh);
  fx := vf_add_all(fx, 'reused', (
    select jsonb_agg(jsonb_build_object('stage', g.stage, 'count', g.count)) from (
      select t.stage, count(*) from task t where t.id = any (p_ids) and t.state = 'succeeded' group by t.stage) g));
  v_shared := array(select t.id from task t where t.id = any (p_ids) and t.state = 'ready'
    and not exists (select 1 from unnest(p_fresh) f(id) where f.id = t.id));
  perform vf_rank_all(v_shared);
  return vf_add_all(fx, 'ready', to_jsonb(v_shared));
end $$;
