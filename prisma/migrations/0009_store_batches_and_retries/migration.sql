-- Submitting, cancelling, retrying and changing a job of up to a thousand renders: one statement each, set by set.
--
-- Order of locks: tasks by id, artifacts by hash, the job. A producer has a lower id than what takes its output (ids are given in
-- dependency order, and an input is never changed), so tasks by id are producers before consumers, as everywhere. New tasks are inserted in key
-- order, so that two who make the same keys wait for each other in one direction. A job's row is locked last; who finds that the job has
-- changed since it was read gives up as one that lost a race (40001), and the whole statement is run again.

create index job_tenant_created_idx on job (tenant_id, state, created_at, id);
create index job_tenant_priority_idx on job (tenant_id, state, priority, id);
create index job_created_idx on job (state, created_at, id);
create index job_priority_idx on job (state, priority, id);
create index job_tenant_ended_idx on job (tenant_id, state, (coalesce(ended_at, 'infinity')), id);
create index job_ended_idx on job (state, (coalesce(ended_at, 'infinity')), id);

-- An event changes no value that an index of its job has, while others wait to be sent: the row is updated in place (HOT).
alter table job add column has_unsent boolean not null generated always as (sent_event < last_event) stored;
drop index job_unsent_idx;
create index job_unsent_idx on job (id) where has_unsent;

-- Whether an ended job's events have all been pruned, so that pruning looks at each ended job once.
alter table job add column is_pruned boolean not null default false;
create index job_prune_idx on job (ended_at) where ended_at is not null and not is_pruned;

-- What a render had been a user of before a retry gave it another generation: the books go by it, nothing else does.
create table former_use (
  render_id bigint not null references render on delete cascade on update restrict,
  task_id bigint not null references task on delete cascade on update restrict,
  primary key (render_id, task_id)
);
create index former_use_task_id_idx on former_use (task_id);

drop function vf_submit(jsonb);
drop function vf_use_tasks(jsonb, jsonb, bigint);
drop function vf_wire_task(jsonb, bigint, jsonb, jsonb);
drop function vf_insert_job(jsonb);
drop function vf_keep_uploads(jsonb);
drop function vf_current_task(text, jsonb);
drop function vf_keep_outputs(bigint);
drop function vf_cancel(text, text);

-- Makes the tasks whose keys have none that is current, still without inputs; returns their ids.
create function vf_make_tasks(p_tenant text, p_tasks jsonb) returns bigint[] language sql volatile as $$
  with planned as (
    select t.value, t.ord, t.value ->> 'contentKey' as key from jsonb_array_elements(p_tasks) with ordinality t(value, ord)),
  missing as materialized (
    select p.value, p.key, nextval(pg_get_serial_sequence('task', 'id')) as id
    from (select p.value, p.key from planned p where not exists (select 1 from task t where t.content_key = p.key and not t.is_retired)
          order by p.ord) p),
  made as (
    insert into task (id, content_key, generation, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters)
    select m.id, m.key, coalesce((select max(t.generation) from task t where t.content_key = m.key), 0) + 1, p_tenant,
      m.value ->> 'sharingDomain', m.value ->> 'stage', m.value ->> 'pool', m.value ->> 'shape', m.value ->> 'model',
      m.value -> 'engineDigests', m.value -> 'parameters'
    from missing m order by m.key
    on conflict do nothing returning id)
  select coalesce(array_agg(m.id), '{}') from made m;
$$;

-- Those of the locked tasks that can serve nobody new: failed, cancelled, or without an output that was stored. The outputs of the others are
-- locked and kept from collection.
create function vf_dead_tasks(p_tasks bigint[]) returns bigint[] language plpgsql as $$
declare
  v_dead bigint[];
begin
  perform 1 from artifact a
  where a.sha256 = any (array(
    select o.sha256 from task t join task_output o on o.task_id = t.id where t.id = any (p_tasks) and t.state = 'succeeded'))
  order by a.sha256 for no key update;
  v_dead := array(select t.id from task t where t.id = any (p_tasks) and (t.state in ('failed', 'cancelled') or (t.state = 'succeeded'
    and (select bool_and(a.is_stored) from task_output o join artifact a on a.sha256 = o.sha256 where o.task_id = t.id) is not true)));
  update artifact a set condemned_at = null
  where a.condemned_at is not null and a.sha256 in (
    select o.sha256 from unnest(p_tasks) p(id) join task_output o on o.task_id = p.id
    where not exists (select 1 from unnest(v_dead) d(id) where d.id = p.id));
  return v_dead;
end $$;

-- Each key's task that can serve a new user, locked, in the order of p_tasks (each key once, in dependency order); a dead one is retired and a
-- new generation made. fresh: those that were made here, still without inputs.
create function vf_take_tasks(p_tenant text, p_tasks jsonb, out ids bigint[], out fresh bigint[]) language plpgsql as $$
declare
  v_keys text[] := array(select t.value ->> 'contentKey' from jsonb_array_elements(p_tasks) with ordinality t(value, ord) order by t.ord);
  v_locked bigint[];
  v_dead bigint[];
begin
  fresh := '{}';
  loop
    fresh := fresh || vf_make_tasks(p_tenant, p_tasks);
    v_locked := array(select t.id from task t where t.content_key = any (v_keys) and not t.is_retired order by t.id for no key update);
    v_dead := vf_dead_tasks(v_locked);
    exit when cardinality(v_dead) = 0 and cardinality(v_locked) = cardinality(v_keys);
    update task set is_retired = true where id = any (v_dead);
  end loop;
  ids := array(select t.id from unnest(v_keys) with ordinality k(key, ord) join task t on t.content_key = k.key and not t.is_retired
    order by k.ord);
end $$;

-- Gives the fresh tasks their inputs; all of p_tasks have their users. Fresh ones wait for what is missing or are ready; ready ones may
-- have got a better user.
create function vf_wire_tasks(fx jsonb, p_tasks jsonb, p_ids bigint[], p_fresh bigint[]) returns jsonb language plpgsql as $$
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
  v_shared := array(select t.id from task t where t.id = any (p_ids) and t.state = 'ready'
    and not exists (select 1 from unnest(p_fresh) f(id) where f.id = t.id));
  perform vf_rank_all(v_shared);
  return vf_add_all(fx, 'ready', to_jsonb(v_shared));
end $$;

-- The uploads that the tenant has not, or whose bytes are not stored.
create function vf_missing_uploads(p_tenant text, p_uploads jsonb) returns jsonb language sql volatile as $$
  select coalesce(jsonb_agg(s), '[]') from jsonb_array_elements_text(p_uploads) s
  where not exists (select 1 from upload u join artifact a on a.sha256 = u.sha256
                    where u.tenant_id = p_tenant and u.sha256 = s and a.is_stored);
$$;

-- Takes uploads that were there out of collection's reach. One that was lost meanwhile is a lost race: the statement that is run again says so.
create function vf_keep_uploads(p_tenant text, p_uploads jsonb) returns void language plpgsql as $$
begin
  perform 1 from artifact a where a.sha256 in (select jsonb_array_elements_text(p_uploads)) order by a.sha256 for no key update;
  if vf_missing_uploads(p_tenant, p_uploads) <> '[]' then
    raise exception 'an upload was lost' using errcode = 'serialization_failure';
  end if;
  update artifact set condemned_at = null
  where condemned_at is not null and sha256 in (select jsonb_array_elements_text(p_uploads));
end $$;

-- Stores the job with its renders and webhook; false when the job's id or key is taken.
create function vf_insert_job(p_job jsonb) returns boolean language plpgsql as $$
declare
  v_renders constant integer := jsonb_array_length(p_job -> 'renders');
begin
  insert into job (id, tenant_id, idempotency_key, body_digest, job_class, priority, deadline, reuse, models, render_total, render_queued)
  values (p_job ->> 'jobId', p_job ->> 'tenant', p_job ->> 'idempotencyKey', p_job ->> 'bodyDigest', p_job ->> 'jobClass',
    (p_job ->> 'priority')::smallint, (p_job ->> 'deadline')::timestamptz, p_job ->> 'reuse',
    array(select distinct r -> 'spec' ->> 'model' from jsonb_array_elements(p_job -> 'renders') r order by 1), v_renders, v_renders)
  on conflict do nothing;
  if not found then return false; end if;
  insert into render (job_id, position, spec, model_weights, fps)
  select p_job ->> 'jobId', r.ord - 1, r.value -> 'spec', r.value ->> 'modelWeights', (r.value ->> 'fps')::integer
  from jsonb_array_elements(p_job -> 'renders') with ordinality r(value, ord) order by r.ord;
  insert into webhook (job_id, url, secret)
  select p_job ->> 'jobId', p_job -> 'webhook' ->> 'url', p_job -> 'webhook' ->> 'secret' where p_job -> 'webhook' ? 'url';
  return true;
end $$;

-- Makes the job's renders users of the tasks that they name by their place in p_ids.
create function vf_use_tasks(p_job jsonb, p_ids bigint[]) returns void language sql volatile as $$
  with taken as materialized (
    select k.ord - 1 as place, t.id, t.state from unnest(p_ids) with ordinality k(id, ord) join task t on t.id = k.id)
  insert into task_user (task_id, render_id, position, label, artifacts, is_reused)
  select t.id, r.id, u.ord, u.value ->> 'label', array(select jsonb_array_elements_text(u.value -> 'artifacts')), t.state = 'succeeded'
  from jsonb_array_elements(p_job -> 'renders') with ordinality p(value, ord)
  join render r on r.job_id = p_job ->> 'jobId' and r.position = p.ord - 1
  cross join lateral jsonb_array_elements(p.value -> 'uses') with ordinality u(value, ord)
  join taken t on t.place = (u.value ->> 'task')::integer;
$$;

-- p_job: SubmitJob of job-contract.ts as sql/submit.ts sends it. Outcomes: stored, repeated, conflict, invalid (uploads that are missing).
-- Locks: the new job's id and key, which only a repeat waits for; tasks by id, artifacts, as above.
-- Indexes: task_content_key_current_key, job_tenant_id_idempotency_key_key.
create function vf_submit(p_job jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_job constant text := p_job ->> 'jobId';
  v_tenant constant text := p_job ->> 'tenant';
  v_outcome jsonb;
  v_ids bigint[];
  v_fresh bigint[];
begin
  insert into tenant (id) values (v_tenant) on conflict do nothing;
  v_outcome := vf_repeated(p_job);
  if v_outcome is not null then return v_outcome; end if;
  v_outcome := vf_missing_uploads(v_tenant, p_job -> 'uploads');
  if v_outcome <> '[]' then return jsonb_build_object('kind', 'invalid', 'missing', v_outcome); end if;
  if not vf_insert_job(p_job) then
    return coalesce(vf_repeated(p_job), jsonb_build_object('kind', 'conflict', 'jobId', v_job));
  end if;
  select t.ids, t.fresh into v_ids, v_fresh from vf_take_tasks(v_tenant, p_job -> 'tasks') t;
  perform vf_keep_uploads(v_tenant, p_job -> 'uploads');
  perform vf_use_tasks(p_job, v_ids);
  fx := vf_wire_tasks(fx, p_job -> 'tasks', v_ids, v_fresh);
  fx := vf_add(fx, 'events', jsonb_build_object('job', v_job, 'kind', 'job.submitted', 'jobState', 'queued'));
  fx := vf_add(fx, 'jobs', to_jsonb(v_job));
  return jsonb_build_object('kind', 'stored', 'jobId', v_job, 'aftermath', vf_flush(fx));
end $$;

-- Locks what the renders use and is still open, by id.
create function vf_lock_open_tasks(p_renders bigint[]) returns bigint[] language sql volatile as $$
  select array(select t.id from task t
    where t.state in ('blocked', 'ready', 'delayed', 'running')
      and t.id = any (array(select u.task_id from task_user u where u.render_id = any (p_renders)))
    order by t.id for no key update);
$$;

-- Ends the job's open renders, or the one at p_position. Idempotent. Null when the tenant (null: anyone) has no such job or render.
create function vf_cancel(p_tenant text, p_job text, p_position integer) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_open bigint[];
begin
  perform 1 from job j join render r on r.job_id = j.id
  where j.id = p_job and (p_tenant is null or j.tenant_id = p_tenant) and (p_position is null or r.position = p_position);
  if not found then return null; end if;
  v_open := array(select r.id from render r
    where r.job_id = p_job and (p_position is null or r.position = p_position) and r.state in ('queued', 'running'));
  perform vf_lock_open_tasks(v_open);
  fx := vf_add_all(fx, 'cancels', (select jsonb_agg(jsonb_build_object('job', p_job, 'render', o.id)) from unnest(v_open) o(id)));
  return vf_flush(fx);
end $$;

-- What the renders' tasks were planned as, each key once, in dependency order: PlannedTask of domain/stage-graph.ts, without what is per user.
create function vf_planned_again(p_renders bigint[]) returns jsonb language sql volatile as $$
  select coalesce(jsonb_agg(jsonb_build_object('contentKey', t.content_key, 'sharingDomain', t.sharing_domain, 'stage', t.stage,
    'pool', t.pool, 'shape', t.shape, 'model', t.model, 'engineDigests', t.engine_digests, 'parameters', t.parameters,
    'inputs', coalesce((
      select jsonb_agg(jsonb_build_object('name', i.name, 'source', case
        when i.producer_id is null then jsonb_build_object('kind', 'upload', 'sha256', i.upload_sha256)
        else jsonb_build_object('kind', 'task', 'contentKey', p.content_key, 'output', i.producer_output) end))
      from task_input i left join task p on p.id = i.producer_id where i.task_id = t.id), '[]')) order by t.id), '[]')
  from (select distinct on (t.content_key) t.* from task_user u join task t on t.id = u.task_id where u.render_id = any (p_renders)
        order by t.content_key, t.generation desc) t;
$$;

-- The uploads that planned tasks start from.
create function vf_uploads_of(p_tasks jsonb) returns jsonb language sql immutable as $$
  select coalesce(jsonb_agg(distinct i -> 'source' -> 'sha256'), '[]')
  from jsonb_array_elements(p_tasks) t cross join lateral jsonb_array_elements(t -> 'inputs') i where i -> 'source' ? 'sha256';
$$;

-- Makes the renders users of the keys' current tasks, instead of those that they used. A producer that had to run again for one of them is
-- another generation of a key that they plan, and is not kept beside it.
create function vf_repoint_users(p_renders bigint[], p_ids bigint[]) returns void language sql volatile as $$
  with former as (
    delete from task_user where render_id = any (p_renders) returning *),
  remembered as (
    insert into former_use (render_id, task_id) select f.render_id, f.task_id from former f
    where not exists (select 1 from unnest(p_ids) k(id) where k.id = f.task_id) on conflict do nothing),
  kept as materialized (
    select distinct on (f.render_id, t.content_key) f.*, t.content_key from former f join task t on t.id = f.task_id
    order by f.render_id, t.content_key, f.label = 'again', f.position)
  insert into task_user (task_id, render_id, position, label, artifacts, is_reused)
  select t.id, k.render_id, k.position, k.label, k.artifacts, t.state = 'succeeded' and (t.id <> k.task_id or k.is_reused)
  from kept k join task t on t.content_key = k.content_key and t.id = any (p_ids);
$$;

-- Opens ended renders of a locked job anew, and the job when it had ended. Notes their events.
create function vf_reopen_renders(fx jsonb, p_job job, p_renders bigint[]) returns jsonb language plpgsql as $$
declare
  v_was text[] := array(select r.state from render r where r.id = any (p_renders));
  v_counts jsonb := vf_recounted(p_job, v_was, array_fill('queued'::text, array[cardinality(v_was)]));
  v_state text := vf_job_state(case when p_job.ended_at is null then p_job.state end, v_counts);
begin
  update render set state = 'queued', ended_at = null, failure_code = null, failure_message = null, failure_stage = null
  where id = any (p_renders);
  update job set state = v_state, ended_at = null, failure_code = null, failure_message = null, failure_stage = null, is_pruned = false,
    render_queued = (v_counts ->> 'queued')::integer, render_failed = (v_counts ->> 'failed')::integer,
    render_cancelled = (v_counts ->> 'cancelled')::integer
  where id = p_job.id;
  if p_job.ended_at is not null then
    fx := vf_add(fx, 'events', jsonb_build_object('job', p_job.id, 'kind', 'job.retried', 'jobState', v_state));
  end if;
  if p_job.render_total > 1 then
    fx := vf_add_all(fx, 'events', (
      select jsonb_agg(jsonb_build_object('job', p_job.id, 'kind', 'render.retried', 'render', r.position) order by r.position)
      from render r where r.id = any (p_renders)));
  end if;
  return vf_add(fx, 'jobs', to_jsonb(p_job.id));
end $$;

-- The renders that a retry names and that can be: failed or cancelled, in order of position.
create function vf_retryable(p_job text, p_position integer) returns bigint[] language sql volatile as $$
  select array(select r.id from render r
    where r.job_id = p_job and (p_position is null or r.position = p_position) and r.state in ('failed', 'cancelled') order by r.position);
$$;

-- Runs the job's failed and cancelled renders (or the one at p_position) again. Null when the tenant (null: anyone) has no such job or render.
-- Outcomes: nothing; invalid (uploads that are gone, and the specs that may name them); retried (how many).
create function vf_retry(p_tenant text, p_job text, p_position integer) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_job job;
  v_renders bigint[] := vf_retryable(p_job, p_position);
  v_tasks jsonb;
  v_uploads jsonb;
  v_ids bigint[];
  v_fresh bigint[];
begin
  select j.* into v_job from job j join render r on r.job_id = j.id and (p_position is null or r.position = p_position)
  where j.id = p_job and (p_tenant is null or j.tenant_id = p_tenant) limit 1;
  if not found then return null; end if;
  if cardinality(v_renders) = 0 then return '{"kind": "nothing"}'; end if;
  v_tasks := vf_planned_again(v_renders);
  v_uploads := vf_uploads_of(v_tasks);
  if vf_missing_uploads(v_job.tenant_id, v_uploads) <> '[]' then
    return jsonb_build_object('kind', 'invalid', 'missing', vf_missing_uploads(v_job.tenant_id, v_uploads), 'renders', (
      select jsonb_agg(jsonb_build_object('position', r.position, 'spec', r.spec) order by r.position)
      from render r where r.id = any (v_renders)));
  end if;
  select t.ids, t.fresh into v_ids, v_fresh from vf_take_tasks(v_job.tenant_id, v_tasks) t;
  perform vf_keep_uploads(v_job.tenant_id, v_uploads);
  select j.* into v_job from job j where j.id = p_job for no key update;
  if vf_retryable(p_job, p_position) <> v_renders then
    raise exception 'the job has changed' using errcode = 'serialization_failure';
  end if;
  perform vf_repoint_users(v_renders, v_ids);
  fx := vf_reopen_renders(fx, v_job, v_renders);
  fx := vf_wire_tasks(fx, v_tasks, v_ids, v_fresh);
  return jsonb_build_object('kind', 'retried', 'renders', cardinality(v_renders), 'aftermath', vf_flush(fx));
end $$;

-- Changes an open job's priority or deadline; what it has ready is ranked anew. p_patch: {priority?, deadline? (null: none)}.
-- Null when the tenant (null: anyone) has no such job; {"kind": "ended"}; or {"kind": "updated", aftermath}. All open tasks are locked, not only
-- the ready ones: one that becomes ready meanwhile is ranked by its own commit, which then sees this one's priority.
create function vf_update_job(p_tenant text, p_job text, p_patch jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_job job;
  v_open bigint[];
  v_priority smallint;
  v_deadline timestamptz(6);
begin
  perform 1 from job j where j.id = p_job and (p_tenant is null or j.tenant_id = p_tenant);
  if not found then return null; end if;
  v_open := vf_lock_open_tasks(array(select r.id from render r where r.job_id = p_job and r.state in ('queued', 'running')));
  select j.* into v_job from job j where j.id = p_job for no key update;
  if v_job.ended_at is not null then return '{"kind": "ended"}'; end if;
  v_priority := coalesce((p_patch ->> 'priority')::smallint, v_job.priority);
  v_deadline := case when p_patch ? 'deadline' then (p_patch ->> 'deadline')::timestamptz else v_job.deadline end;
  if (v_priority, v_deadline) is distinct from (v_job.priority, v_job.deadline) then
    update job set priority = v_priority, deadline = v_deadline where id = p_job;
    perform vf_rank_all(v_open);
    fx := vf_add(fx, 'events', jsonb_build_object('job', p_job, 'kind', 'job.updated', 'message', concat_ws(', ',
      case when v_priority <> v_job.priority then format('priority %s, was %s', v_priority, v_job.priority) end,
      case when v_deadline is distinct from v_job.deadline then 'deadline ' || coalesce('at ' || to_char(v_deadline at time zone 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'taken away') end)));
  end if;
  return jsonb_build_object('kind', 'updated', 'aftermath', vf_flush(fx));
end $$;

-- Writes what came of a try to deliver. False when the duty is lost, and nothing was written.
-- p_try: {error?, nextInMs?}: without an error it was delivered; without nextInMs it is given up.
create function vf_record_webhook_try(p_epoch bigint, p_job text, p_number integer, p_try jsonb) returns boolean language plpgsql as $$
begin
  if not vf_holds_duty('webhooks', p_epoch) then return false; end if;
  update webhook_delivery set tries = tries + 1, last_error = coalesce(p_try ->> 'error', ''),
    delivered_at = case when not p_try ? 'error' then clock_timestamp() end,
    next_try_at = case when p_try ? 'error' then vf_after((p_try ->> 'nextInMs')::double precision) end
  where job_id = p_job and event_number = p_number and delivered_at is null;
  return true;
end $$;

-- Finds and repairs what should never be; {"repaired", "aftermath"}, null when the duty is lost. Each find is a bug.
create or replace function vf_sweep(p_epoch bigint, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_task task;
  v_what text;
  v_repaired integer := 0;
  v_count integer;
  v_lost constant jsonb := '{"code": "LEASE_LAPSED", "errorClass": "unexplained", "message": "found without an owner"}';
begin
  if not vf_holds_duty('sweep', p_epoch) then return null; end if;
  for v_task in
    select t.* from task t where t.state in ('blocked', 'ready', 'running', 'delayed') and vf_unsoundness(t) is not null
    order by t.id for no key update skip locked
  loop
    v_what := vf_unsoundness(v_task);
    continue when v_what is null;
    v_repaired := v_repaired + 1;
    if v_what = 'without owner' and exists (select 1 from attempt a where a.id = v_task.current_attempt and a.state = 'running') then
      fx := vf_free_attempt(fx, v_task.current_attempt, v_lost, p_policy);
    else
      fx := vf_requeue(fx, v_task.id, v_task.current_attempt, true);
    end if;
  end loop;
  delete from ready q where exists (select 1 from task t where t.id = q.task_id and t.state <> 'ready');
  get diagnostics v_count = row_count;
  v_repaired := v_repaired + v_count;
  select count(*), vf_add_all(fx, 'jobs', jsonb_agg(distinct r.job_id)) into v_count, fx from render r
  where r.state in ('queued', 'running') and (
    select bool_and(t.state = 'succeeded') or bool_or(t.state in ('failed', 'cancelled'))
    from task_user u join task t on t.id = u.task_id where u.render_id = r.id);
  return jsonb_build_object('repaired', v_repaired + v_count, 'aftermath', vf_flush(fx));
end $$;

-- Sent events of jobs that ended before, the longest ended first; a job that has none left is marked and not looked at again. Returns how many
-- rows it did something to. Deliveries go with the events that they tell of. Index: job_prune_idx.
create or replace function vf_prune_events(p_before timestamptz, p_limit integer) returns integer language plpgsql as $$
declare
  v_jobs text[] := array(select j.id from job j where j.ended_at < p_before and not j.is_pruned order by j.ended_at limit p_limit
    for no key update skip locked);
  v_events integer;
  v_marked integer;
begin
  delete from event where (job_id, number) in (
    select e.job_id, e.number from job j join event e on e.job_id = j.id and e.number <= j.sent_event
    where j.id = any (v_jobs) limit p_limit);
  get diagnostics v_events = row_count;
  update job j set is_pruned = true where j.id = any (v_jobs) and not exists (select 1 from event e where e.job_id = j.id);
  get diagnostics v_marked = row_count;
  return v_events + v_marked;
end $$;

-- Locks what the reports of a call are about and what waits for it, by id, before any of them is applied: reports come in their workers'
-- order, and two calls that applied them as they come would lock each other's tasks.
create function vf_lock_reported(p_asks jsonb[]) returns void language plpgsql as $$
declare
  v_reported bigint[];
begin
  select array_agg(a.task_id) into v_reported
  from unnest(p_asks) x(ask) cross join lateral jsonb_array_elements(x.ask -> 'reports') r join attempt a on a.id = vf_fence(r ->> 'attemptId');
  if v_reported is null then return; end if;
  perform 1 from task t
  where t.id = any (v_reported || array(select c.id from task_input i join task c on c.id = i.task_id
                                        where i.producer_id = any (v_reported) and c.state = 'blocked'))
  order by t.id for no key update;
end $$;

-- Outcomes: refused, or answered with at most one claim per ask. Locks: sessions by id; what is reported on by id; then as vf_claim and vf_flush.
create or replace function vf_next(p_asks jsonb, p_options jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_asks jsonb[];
  v_outcomes jsonb[];
  v_reported jsonb[] := '{}';
  v_claims jsonb[] := '{}';
  v_ask jsonb;
  v_part jsonb;
  v_aftermath jsonb;
begin
  select a.admitted, a.outcomes into v_asks, v_outcomes from vf_admit_all(p_asks, 'next', p_options) a;
  perform vf_lock_reported(v_asks);
  foreach v_ask in array v_asks loop
    select f.fx, f.outcomes into fx, v_part from vf_hear(fx, v_ask, p_options -> 'policy') f;
    v_reported := array_append(v_reported, v_part);
  end loop;
  perform vf_lock_pools(v_asks);
  foreach v_ask in array v_asks loop
    v_part := null;
    if (v_ask ->> 'freeSlots')::integer > 0 and not (v_ask ->> 'leaving')::boolean then
      select f.fx, f.claim into fx, v_part from vf_claim(fx, v_ask ->> 'sessionId', v_ask -> 'worker') f;
    end if;
    perform vf_settle_session(v_ask, v_part is not null);
    v_claims := array_append(v_claims, v_part);
  end loop;
  v_aftermath := vf_flush(fx);
  for i in 1 .. cardinality(v_asks) loop
    v_part := vf_next_answer(v_asks[i], v_claims[i], v_reported[i], p_options);
    perform vf_store_answer(v_asks[i], 'next', v_part);
    v_outcomes := array_append(v_outcomes, vf_placed(v_asks[i], v_part));
  end loop;
  return jsonb_build_object('outcomes', to_jsonb(v_outcomes), 'aftermath', v_aftermath);
end $$;

-- Outcomes: refused, or answered with a disposition per report. Locks: sessions by id, tasks, artifacts, jobs by id.
create or replace function vf_report(p_asks jsonb, p_options jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_asks jsonb[];
  v_outcomes jsonb[];
  v_ask jsonb;
  v_part jsonb;
begin
  select a.admitted, a.outcomes into v_asks, v_outcomes from vf_admit_all(p_asks, 'report', p_options) a;
  perform vf_lock_reported(v_asks);
  foreach v_ask in array v_asks loop
    select f.fx, f.outcomes into fx, v_part from vf_apply_reports(fx, v_ask, p_options -> 'policy') f;
    v_part := jsonb_build_object('kind', 'answered', 'replayed', false, 'farmEpoch', (select f.epoch from farm f), 'reportOutcomes', v_part);
    perform vf_store_answer(v_ask, 'report', v_part);
    v_outcomes := array_append(v_outcomes, vf_placed(v_ask, v_part));
  end loop;
  return jsonb_build_object('outcomes', to_jsonb(v_outcomes), 'aftermath', vf_flush(fx));
end $$;
