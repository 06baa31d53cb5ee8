-- What was collected is computed again where something that has to run takes it, and only there.
--
-- A task whose outputs are kept needs no inputs. So a render that asks for what is there is content with it, whatever became of that which
-- it was made from: it uses those tasks as they ended once, retired ones too, and is complete.

create function vf_keys_of(p_tasks jsonb) returns text[] language sql immutable as $$
  select array(select t.value ->> 'contentKey' from jsonb_array_elements(p_tasks) with ordinality t(value, ord) order by t.ord);
$$;

-- Of planned tasks, in their order, the keys that are taken as they are or made: those whose outputs are kept, and those that are needed.
-- Needed is what a render hands out, what no other of them takes, what never succeeded, and what is taken by a needed one that is not kept.
-- p_tasks: as vf_take_tasks. Index: task_content_key_generation_key.
create function vf_taken_keys(p_tasks jsonb, out taken text[], out kept text[]) language plpgsql as $$
declare
  v_keys constant text[] := vf_keys_of(p_tasks);
  v_done constant text[] := array(select distinct t.content_key from task t where t.content_key = any (v_keys) and t.state = 'succeeded');
begin
  taken := v_keys;
  kept := array(
    select t.content_key from task t
    where t.content_key = any (v_done) and not t.is_retired and t.state = 'succeeded'
      and (select bool_and(a.is_stored) from task_output o join artifact a on a.sha256 = o.sha256 where o.task_id = t.id));
  -- The usual case: nothing was collected.
  if cardinality(kept) = cardinality(v_done) then return; end if;
  taken := array(
    with recursive planned as materialized (
      select t.value ->> 'contentKey' as key, t.value -> 'artifacts' as artifacts, t.value -> 'inputs' as inputs, t.ord
      from jsonb_array_elements(p_tasks) with ordinality t(value, ord)),
    edge as materialized (
      select p.key as consumer, i.value -> 'source' ->> 'contentKey' as producer
      from planned p cross join lateral jsonb_array_elements(p.inputs) i where i.value -> 'source' ? 'contentKey'),
    needed(key) as (
      select p.key from planned p
      where p.artifacts <> '[]' or not exists (select 1 from edge e where e.producer = p.key)
        or not exists (select 1 from unnest(v_done) d(key) where d.key = p.key)
      union
      select e.producer from needed n join edge e on e.consumer = n.key
      where not exists (select 1 from unnest(kept) k(key) where k.key = n.key))
    select p.key from planned p join (select n.key from needed n union select k.key from unnest(kept) k(key)) t on t.key = p.key
    order by p.ord);
end $$;

-- Of the keys that are not taken, the tasks that succeeded last; they cannot be deleted then.
create function vf_last_succeeded(p_keys text[], p_taken text[]) returns bigint[] language sql volatile as $$
  select array(
    select t.id from task t
    where t.id in (
      select distinct on (d.content_key) d.id
      from (select k.key from unnest(p_keys) k(key) except select n.key from unnest(p_taken) n(key)) other
      join task d on d.content_key = other.key and d.state = 'succeeded'
      order by d.content_key, d.is_retired, d.generation desc)
    order by t.id for key share);
$$;

-- Each key's task for a new user, in the order of p_tasks (each key once, in dependency order): one that can serve it, locked; where the
-- key is needed a dead one is retired and a new generation made. Of what was collected and is not needed the task that succeeded last.
-- fresh: those that were made here, still without inputs.
create or replace function vf_take_tasks(p_tenant text, p_tasks jsonb, out ids bigint[], out fresh bigint[]) language plpgsql as $$
declare
  v_keys constant text[] := vf_keys_of(p_tasks);
  v_taken text[];
  v_kept text[];
  v_locked bigint[];
  v_dead bigint[];
  v_done bigint[];
begin
  fresh := '{}';
  loop
    select k.taken, k.kept into v_taken, v_kept from vf_taken_keys(p_tasks) k;
    -- Not in place of what is kept: when that is lost meanwhile, it may not be needed.
    fresh := fresh || vf_make_tasks(p_tenant, (
      select jsonb_agg(t.value order by t.ord) from jsonb_array_elements(p_tasks) with ordinality t(value, ord)
      join (select k.key from unnest(v_taken) k(key) except select k.key from unnest(v_kept) k(key)) m
        on m.key = t.value ->> 'contentKey'));
    v_locked := array(select t.id from task t where t.content_key = any (v_taken) and not t.is_retired order by t.id for no key update);
    v_dead := vf_dead_tasks(v_locked);
    v_done := case when v_taken = v_keys then '{}' else vf_last_succeeded(v_keys, v_taken) end;
    -- What the choice was made from may have changed before it was locked.
    exit when cardinality(v_dead) = 0 and cardinality(v_locked) = cardinality(v_taken)
      and (v_taken = v_keys or (
        cardinality(v_done) = cardinality(v_keys) - cardinality(v_taken) and v_taken = (vf_taken_keys(p_tasks)).taken));
    update task set is_retired = true where id = any (v_dead);
  end loop;
  ids := array(
    select t.id from unnest(v_keys) with ordinality k(key, ord) join task t on t.content_key = k.key and t.id = any (v_locked || v_done)
    order by k.ord);
  -- Made before it was seen that they are not needed; nobody else has seen them.
  delete from task t where t.id = any (fresh) and t.id <> all (ids);
  fresh := array(select f.id from unnest(fresh) f(id) where f.id = any (ids));
end $$;

-- What the tasks were planned as, each key once, in dependency order: PlannedTask of domain/stage-graph.ts, without what is per user;
-- artifacts: of any of the renders.
create function vf_planned_as(p_tasks bigint[], p_renders bigint[]) returns jsonb language sql volatile as $$
  select coalesce(jsonb_agg(jsonb_build_object('contentKey', t.content_key, 'sharingDomain', t.sharing_domain, 'stage', t.stage,
    'pool', t.pool, 'shape', t.shape, 'model', t.model, 'engineDigests', t.engine_digests, 'parameters', t.parameters,
    'artifacts', coalesce((
      select jsonb_agg(distinct a.name) from task g join task_user u on u.task_id = g.id and u.render_id = any (p_renders)
      cross join lateral unnest(u.artifacts) a(name) where g.content_key = t.content_key), '[]'),
    'inputs', coalesce((
      select jsonb_agg(jsonb_build_object('name', i.name, 'source', case
        when i.producer_id is null then jsonb_build_object('kind', 'upload', 'sha256', i.upload_sha256)
        else jsonb_build_object('kind', 'task', 'contentKey', p.content_key, 'output', i.producer_output) end))
      from task_input i left join task p on p.id = i.producer_id where i.task_id = t.id), '[]')) order by t.id), '[]')
  from (select distinct on (t.content_key) t.* from task t where t.id = any (p_tasks) order by t.content_key, t.generation desc) t;
$$;

-- What the renders' tasks were planned as.
create or replace function vf_planned_again(p_renders bigint[]) returns jsonb language sql volatile as $$
  select vf_planned_as(array(select u.task_id from task_user u where u.render_id = any (p_renders)), p_renders);
$$;

-- A locked task that is to run again takes what is there: inputs that were collected are made again in a new generation, and what those
-- take. All of it for the renders that want the task.
create function vf_renew_inputs(fx jsonb, p_task bigint) returns jsonb language plpgsql as $$
declare
  v_tenant constant text := (select t.tenant_id from task t where t.id = p_task);
  v_sources constant bigint[] := array(
    with recursive source(id) as (
      select i.producer_id from task_input i where i.task_id = p_task and i.producer_id is not null
      union select i.producer_id from source s join task_input i on i.task_id = s.id where i.producer_id is not null)
    select s.id from source s);
  v_own constant jsonb := (
    select jsonb_object_agg(p.content_key, true) from task_input i join task p on p.id = i.producer_id where i.task_id = p_task);
  -- What the task itself takes is needed; what that takes only where it is gone.
  v_tasks constant jsonb := (
    select jsonb_agg(
      case when v_own ? (t.value ->> 'contentKey') then t.value || '{"artifacts": ["input"]}' else t.value end order by t.ord)
    from jsonb_array_elements(vf_planned_as(v_sources, '{}')) with ordinality t(value, ord));
  v_ids bigint[];
  v_fresh bigint[];
begin
  if v_own is null then return fx; end if;
  select t.ids, t.fresh into v_ids, v_fresh from vf_take_tasks(v_tenant, v_tasks) t;
  update task_input i set producer_id = n.id
  from task p, task n
  where i.task_id = p_task and p.id = i.producer_id and n.id = any (v_ids) and n.content_key = p.content_key and n.id <> p.id;
  insert into task_user (task_id, render_id, position, label, artifacts, is_reused)
  select t.id, u.render_id, u.position, 'again', '{}', t.state = 'succeeded'
  from task t cross join task_user u where t.id = any (v_ids) and u.task_id = p_task and u.is_wanted
  on conflict do nothing;
  return vf_wire_tasks(fx, v_tasks, v_ids, v_fresh);
end $$;

-- A succeeded task whose output was lost runs again, with fresh budgets, for the users of the task that missed it.
create or replace function vf_reopen(fx jsonb, p_task bigint, p_consumer bigint, p_lost text[]) returns jsonb language plpgsql as $$
declare
  v_dependent bigint;
begin
  update artifact set is_stored = false, announced_at = clock_timestamp()
  where sha256 in (select o.sha256 from task_output o where o.task_id = p_task) and sha256 = any (p_lost);
  delete from task_output where task_id = p_task;
  insert into task_user (task_id, render_id, position, label, artifacts)
  select p_task, u.render_id, u.position, 'again', '{}' from task_user u where u.task_id = p_consumer and u.is_wanted
  on conflict (task_id, render_id) do update set is_wanted = true, is_reused = false;
  update task set failures = '{}' where id = p_task;
  fx := vf_renew_inputs(fx, p_task);
  fx := vf_requeue(fx, p_task, null, true);
  for v_dependent in
    select t.id from task t where t.id in (select i.task_id from task_input i where i.producer_id = p_task)
      and t.state in ('blocked', 'ready', 'delayed')
    order by t.id for no key update
  loop
    update task set state = 'blocked', inputs_missing = vf_inputs_missing(v_dependent), delayed_until = null where id = v_dependent;
    delete from ready where task_id = v_dependent;
  end loop;
  return fx;
end $$;
