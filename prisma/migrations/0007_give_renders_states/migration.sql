-- Renders have states of their own; a job's state derives from them. Jobs so far have one render each, which takes its job's state.
--
-- A render's state changes only under its job's row lock, in the commit of what changed it, and the job's counts with it: so a job of a
-- thousand renders is settled by looking at those that an event touches. A task's users are wanted exactly while their render is open.

alter table render
  add column state text not null default 'queued' check (state in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  add column ended_at timestamptz(6),
  add column failure_code text,
  add column failure_message text,
  add column failure_stage text;
update render r set state = j.state, ended_at = j.ended_at, failure_code = j.failure_code, failure_message = j.failure_message,
  failure_stage = j.failure_stage
from job j where j.id = r.job_id;
alter table render
  add check ((ended_at is null) = (state in ('queued', 'running'))),
  add check ((failure_code is not null) = (state = 'failed'));
alter table render set (fillfactor = 70);
create index render_open_idx on render (id) where state in ('queued', 'running');

-- models: of its renders, each once. render_*: how many renders it has, by state.
alter table job
  add column models text[] not null default '{}',
  add column render_total integer not null default 0,
  add column render_queued integer not null default 0,
  add column render_running integer not null default 0,
  add column render_succeeded integer not null default 0,
  add column render_failed integer not null default 0,
  add column render_cancelled integer not null default 0;
update job j set models = c.models, render_total = c.total,
  render_queued = case j.state when 'queued' then c.total else 0 end, render_running = case j.state when 'running' then c.total else 0 end,
  render_succeeded = case j.state when 'succeeded' then c.total else 0 end, render_failed = case j.state when 'failed' then c.total else 0 end,
  render_cancelled = case j.state when 'cancelled' then c.total else 0 end
from (select r.job_id, count(*)::integer as total, array_agg(distinct r.spec ->> 'model') as models from render r group by r.job_id) c
where c.job_id = j.id;
alter table job
  add check (least(render_queued, render_running, render_succeeded, render_failed, render_cancelled) >= 0),
  add check (render_total = render_queued + render_running + render_succeeded + render_failed + render_cancelled),
  add check ((ended_at is null) = (render_queued + render_running > 0) or render_total = 0);

alter table event add column render_position integer;
update event set render_position = 0 where task_id <> 0;

-- Who is told of a job's ends; the secret is read for deliveries that are due, and nowhere else.
create table webhook (
  job_id text primary key references job on delete cascade on update restrict,
  url text not null,
  secret text not null
);

-- One for each end of a job that has a webhook, made in the commit of that end; it goes with the event that it tells of.
create table webhook_delivery (
  job_id text not null,
  event_number integer not null,
  -- Who is told: the address's host and port. One that does not answer must not keep the others waiting.
  receiver text not null,
  tries integer not null default 0,
  -- Null: delivered, or given up.
  next_try_at timestamptz(6),
  delivered_at timestamptz(6),
  last_error text not null default '',
  primary key (job_id, event_number),
  foreign key (job_id, event_number) references event on delete cascade on update restrict,
  check (delivered_at is null or next_try_at is null)
);
create index webhook_delivery_due_idx on webhook_delivery (receiver, next_try_at, job_id, event_number) where next_try_at is not null;

-- Effects of a transaction: "jobs" are judged whole, "cancels" are {job, render}, the rest is as before.
create or replace function vf_no_effects() returns jsonb language sql immutable as $$
  select '{"ready": [], "events": [], "jobs": [], "cancels": [], "pushes": []}'::jsonb;
$$;

create function vf_add_all(fx jsonb, p_key text, p_elements jsonb) returns jsonb language sql immutable as $$
  select jsonb_set(fx, array[p_key], (fx -> p_key) || coalesce(p_elements, '[]'));
$$;

-- Notes an event, once for every job that has an open render which uses the task; it names the render when only one does.
create or replace function vf_note(fx jsonb, p_task bigint, p_kind text, p_fields jsonb) returns jsonb language sql volatile as $$
  select vf_add_all(fx, 'events', (
    select jsonb_agg(jsonb_build_object('job', g.job_id, 'kind', p_kind, 'stage', t.stage, 'task', t.id, 'render', g.position) || p_fields
                     order by g.job_id)
    from task t cross join lateral (
      select r.job_id, case when count(*) = 1 then min(r.position) end as position
      from task_user u join render r on r.id = u.render_id where u.task_id = t.id and u.is_wanted group by r.job_id) g
    where t.id = p_task));
$$;

-- Writes (or refreshes) the rows by which ready tasks are claimed: class, priority and age of the best user. The tasks are locked.
create function vf_rank_all(p_tasks bigint[]) returns void language sql volatile as $$
  insert into ready (task_id, pool, shape, class_rank, priority, queued_at, avoid)
  select t.id, t.pool, t.shape, best.class_rank, best.priority, best.created_at,
    array(select distinct a.worker_id from attempt a
          where a.task_id = t.id and a.error_class in ('unexplained', 'engine', 'capacity', 'worker'))
  from (
    select distinct on (u.task_id) u.task_id, case j.job_class when 'production' then 0 else 1 end as class_rank, j.priority, j.created_at
    from task_user u join render r on r.id = u.render_id join job j on j.id = r.job_id
    where u.task_id = any (p_tasks) and u.is_wanted
    order by u.task_id, 2, j.priority desc, j.created_at
  ) best join task t on t.id = best.task_id
  where t.id = any (p_tasks) and t.state = 'ready'
  order by t.id
  on conflict (task_id) do update
    set class_rank = excluded.class_rank, priority = excluded.priority, queued_at = excluded.queued_at
    where (ready.class_rank, ready.priority, ready.queued_at) is distinct from (excluded.class_rank, excluded.priority, excluded.queued_at);
$$;

create or replace function vf_rank(p_task bigint) returns void language sql volatile as $$
  select vf_rank_all(array[p_task]);
$$;

-- Moves locked tasks that no attempt runs to where they belong: cancelled without users; ready when blocked and nothing is missing. What is
-- delayed for those who still want it goes on waiting.
create function vf_requeue_all(fx jsonb, p_tasks bigint[]) returns jsonb language plpgsql as $$
declare
  v_ready bigint[];
begin
  update task t set state = 'cancelled', delayed_until = null, ended_at = clock_timestamp()
  where t.id = any (p_tasks) and t.state in ('blocked', 'ready', 'delayed')
    and not exists (select 1 from task_user u where u.task_id = t.id and u.is_wanted);
  delete from ready q using task t where q.task_id = any (p_tasks) and t.id = q.task_id and t.state = 'cancelled';
  with moved as (
    update task t set state = 'ready' where t.id = any (p_tasks) and t.state = 'blocked' and t.inputs_missing = 0 returning t.id)
  select array_agg(m.id) into v_ready from moved m;
  if v_ready is null then return fx; end if;
  perform vf_rank_all(v_ready);
  return vf_add_all(fx, 'ready', to_jsonb(v_ready));
end $$;

-- Commits a current attempt's outputs, and everything that follows from them, for a locked task.
-- p_success: {outputs: [{name, sha256, sizeBytes, mediaType}], provider, profile, warnings}.
create or replace function vf_succeed(fx jsonb, p_attempt attempt, p_success jsonb, p_compute_ms double precision) returns jsonb
language plpgsql as $$
declare
  v_dependents bigint[];
begin
  insert into artifact (sha256, size_bytes, media_type, is_stored)
  select distinct on (o ->> 'sha256') o ->> 'sha256', (o ->> 'sizeBytes')::bigint, o ->> 'mediaType', true
  from jsonb_array_elements(p_success -> 'outputs') o order by o ->> 'sha256'
  on conflict (sha256) do update set is_stored = true, condemned_at = null
    where not artifact.is_stored or artifact.condemned_at is not null;
  insert into task_output (task_id, name, sha256)
  select p_attempt.task_id, o ->> 'name', o ->> 'sha256' from jsonb_array_elements(p_success -> 'outputs') o;
  update task set state = 'succeeded', current_attempt = null, ended_at = clock_timestamp()
  where id = p_attempt.task_id and current_attempt = p_attempt.id and state = 'running';
  update attempt set state = 'succeeded', ended_at = clock_timestamp(), provider = p_success ->> 'provider',
    profile = p_success ->> 'profile', warnings = p_success -> 'warnings'
  where id = p_attempt.id;
  fx := vf_note(fx, p_attempt.task_id, 'task.succeeded',
    jsonb_build_object('worker', p_attempt.worker_name, 'computeMs', p_compute_ms));
  v_dependents := array(select t.id from task t
    where t.id = any (array(select i.task_id from task_input i where i.producer_id = p_attempt.task_id)) and t.state = 'blocked'
    order by t.id for no key update);
  if cardinality(v_dependents) = 0 then return fx; end if;
  update task t set inputs_missing = t.inputs_missing - i.inputs
  from (select i.task_id, count(*)::integer as inputs from task_input i where i.producer_id = p_attempt.task_id group by i.task_id) i
  where t.id = i.task_id and t.id = any (v_dependents);
  return vf_requeue_all(fx, array(select t.id from task t where t.id = any (v_dependents) and t.inputs_missing = 0));
end $$;

-- Ended renders use nothing any more: what nobody else wants is cancelled, or pushed as unwanted while it runs.
create function vf_release_renders(fx jsonb, p_renders bigint[]) returns jsonb language plpgsql as $$
declare
  v_open bigint[];
begin
  update task_user set is_wanted = false where render_id = any (p_renders) and is_wanted;
  v_open := array(select t.id from task t
    where t.state in ('blocked', 'ready', 'delayed', 'running')
      and t.id = any (array(select u.task_id from task_user u where u.render_id = any (p_renders)))
    order by t.id for no key update);
  if cardinality(v_open) = 0 then return fx; end if;
  fx := vf_add_all(fx, 'pushes', (
    select jsonb_agg(jsonb_build_object('workerId', a.worker_id, 'attemptId', a.id, 'level', 'unwanted') order by t.id)
    from task t join attempt a on a.id = t.current_attempt
    where t.id = any (v_open) and not exists (select 1 from task_user u where u.task_id = t.id and u.is_wanted)));
  fx := vf_requeue_all(fx, v_open);
  perform vf_rank_all(v_open);
  return fx;
end $$;

-- Who still wants the tasks in a job: found by the tasks, so that a job of a thousand renders is not read for the one that is touched. `offset 0`
-- keeps the planner from starting at the job's renders. Indexes: task_user_pkey, render_pkey.
create function vf_users_in_job(p_job text, p_tasks bigint[]) returns table (task_id bigint, render_id bigint, state text) language plpgsql as $$
begin
  return query select t.id, r.id, r.state
  from unnest(p_tasks) t(id)
  cross join lateral (select u.render_id from task_user u where u.task_id = t.id and u.is_wanted offset 0) u
  cross join lateral (select r.id, r.job_id, r.state from render r where r.id = u.render_id offset 0) r
  where r.job_id = p_job;
end $$;

-- Writes a locked job's noted events behind those that it has; returns the number of its last. What became of a task matters to those who
-- still want it: not to a job whose renders were ended between the task's move and the job's lock.
create or replace function vf_write_events(fx jsonb, p_job job) returns integer language plpgsql as $$
declare
  v_tasks constant bigint[] := array(select distinct e.task from jsonb_to_recordset(fx -> 'events') as e(job text, task bigint)
    where e.job = p_job.id and e.task is not null);
  v_wanted constant bigint[] := array(select distinct u.task_id from vf_users_in_job(p_job.id, v_tasks) u);
  v_count integer;
begin
  insert into event (job_id, number, at, kind, stage, task_id, worker_name, message, compute_ms, job_state, render_position)
  select p_job.id, p_job.last_event + row_number() over (order by e.ord), clock_timestamp(), e.value ->> 'kind',
    coalesce(e.value ->> 'stage', ''), coalesce((e.value ->> 'task')::bigint, 0), coalesce(e.value ->> 'worker', ''),
    coalesce(e.value ->> 'message', ''), coalesce((e.value ->> 'computeMs')::double precision, 0), e.value ->> 'jobState',
    (e.value ->> 'render')::integer
  from jsonb_array_elements(fx -> 'events') with ordinality e(value, ord)
  where e.value ->> 'job' = p_job.id and (not e.value ? 'task' or (e.value ->> 'task')::bigint = any (v_wanted));
  get diagnostics v_count = row_count;
  return p_job.last_event + v_count;
end $$;

-- The open renders of a locked job that what happened may have moved: a start moves those that are queued, an end may end them.
create function vf_touched_renders(fx jsonb, p_job text) returns bigint[] language plpgsql as $$
declare
  v_tasks bigint[];
  v_over bigint[];
begin
  if fx -> 'jobs' ? p_job then
    return array(select r.id from render r where r.job_id = p_job and r.state in ('queued', 'running'));
  end if;
  select coalesce(array_agg(distinct e.task), '{}'), coalesce(array_agg(distinct e.task) filter (where e.kind in ('task.succeeded', 'task.failed')), '{}')
  into v_tasks, v_over from jsonb_to_recordset(fx -> 'events') as e(job text, kind text, task bigint)
  where e.job = p_job and e.task is not null;
  return array(
    select u.render_id from vf_users_in_job(p_job, v_tasks) u
    where u.state = 'queued' or (u.state = 'running' and u.task_id = any (v_over))
    union
    select c.render from jsonb_to_recordset(fx -> 'cancels') as c(job text, render bigint) where c.job = p_job);
end $$;

-- What the tasks of renders, or a client's word, make of those that are open.
create function vf_judge_renders(p_renders bigint[], p_cancelled bigint[]) returns table (render_id bigint, was text, is_now text)
language plpgsql as $$
begin
  return query select r.id, r.state, case
      when r.id = any (p_cancelled) then 'cancelled'
      when tasks.is_dead then 'failed'
      when tasks.is_done then 'succeeded'
      when r.state = 'running' or tasks.has_started then 'running'
      else 'queued' end
  from unnest(p_renders) named(id) join render r on r.id = named.id cross join lateral (
    select bool_or(t.state in ('failed', 'cancelled')) as is_dead, bool_and(t.state = 'succeeded') as is_done,
      bool_or(t.state in ('running', 'delayed')) as has_started
    from task_user u join task t on t.id = u.task_id where u.render_id = r.id) tasks
  where r.state in ('queued', 'running');
end $$;

-- Moves the renders of a locked job to where their tasks (or a client's word) put them; returns those that moved. A render that failed has the
-- failure of its task that failed first.
create function vf_move_renders(fx jsonb, p_job text) returns table (render_id bigint, was text, is_now text) language plpgsql as $$
declare
  v_cancelled bigint[] := array(select c.render from jsonb_to_recordset(fx -> 'cancels') as c(job text, render bigint) where c.job = p_job);
begin
  return query update render r set state = j.is_now,
    ended_at = case when j.is_now not in ('queued', 'running') then clock_timestamp() end,
    failure_code = case when j.is_now = 'failed' then coalesce(f.failure_code, 'INTERNAL') end,
    failure_message = case when j.is_now = 'failed' then coalesce(f.failure_message, 'a task of the render had ended') end,
    failure_stage = case when j.is_now = 'failed' then coalesce(f.stage, '') end
  from vf_judge_renders(vf_touched_renders(fx, p_job), v_cancelled) j left join lateral (
    select t.failure_code, t.failure_message, t.stage from task_user u join task t on t.id = u.task_id
    where u.render_id = j.render_id and j.is_now = 'failed' and t.state = 'failed' order by t.ended_at, u.position limit 1) f on true
  where r.id = j.render_id and j.is_now <> j.was
  returning r.id, j.was, j.is_now;
end $$;

-- Writes the events of renders that ended, in a job of several; returns the number of the job's last event.
create function vf_write_render_events(p_job job, p_renders bigint[], p_last integer) returns integer language plpgsql as $$
declare
  v_count integer;
begin
  if p_job.render_total = 1 then return p_last; end if;
  insert into event (job_id, number, at, kind, stage, message, render_position)
  select p_job.id, p_last + row_number() over (order by r.position), clock_timestamp(), 'render.' || r.state, coalesce(r.failure_stage, ''),
    coalesce(r.failure_code || ': ' || r.failure_message, ''), r.position
  from render r where r.id = any (p_renders);
  get diagnostics v_count = row_count;
  return p_last + v_count;
end $$;

-- Ends a locked job whose renders have all ended: its last event, and the delivery to who is to be told. Returns the event's number.
create function vf_end_job(p_job job, p_state text, p_last integer) returns integer language plpgsql as $$
declare
  v_failed render;
begin
  select r.* into v_failed from render r where r.job_id = p_job.id and r.state = 'failed' order by r.position limit 1;
  insert into event (job_id, number, at, kind, stage, message, job_state)
  values (p_job.id, p_last + 1, clock_timestamp(), 'job.' || p_state, coalesce(v_failed.failure_stage, ''),
    coalesce(v_failed.failure_code || ': ' || v_failed.failure_message, ''), p_state);
  insert into webhook_delivery (job_id, event_number, receiver, next_try_at)
  select w.job_id, p_last + 1, coalesce(lower(substring(w.url from '^[^:]+://(?:[^/?#]*@)?([^/?#]*)')), ''), clock_timestamp() from webhook w where w.job_id = p_job.id;
  update job set ended_at = clock_timestamp(), failure_code = v_failed.failure_code, failure_message = v_failed.failure_message,
    failure_stage = v_failed.failure_stage, state = p_state, last_event = p_last + 1, render_queued = 0, render_running = 0,
    render_succeeded = c.succeeded, render_failed = c.failed, render_cancelled = c.cancelled
  from (select count(*) filter (where r.state = 'succeeded') as succeeded, count(*) filter (where r.state = 'failed') as failed,
          count(*) filter (where r.state = 'cancelled') as cancelled from render r where r.job_id = p_job.id) c
  where job.id = p_job.id;
  return p_last + 1;
end $$;

-- A job's state from the counts of its renders: {queued, running, succeeded, failed, cancelled}.
create function vf_job_state(p_was text, p_counts jsonb) returns text language sql immutable as $$
  select case
      when (p_counts ->> 'queued')::integer + (p_counts ->> 'running')::integer = 0 then
        case when p_counts ->> 'failed' <> '0' then 'failed' when p_counts ->> 'cancelled' <> '0' then 'cancelled' else 'succeeded' end
      when p_was = 'running' or (p_counts ->> 'running')::integer + (p_counts ->> 'succeeded')::integer + (p_counts ->> 'failed')::integer > 0
        then 'running'
      else 'queued'
    end;
$$;

-- A job's counts after some of its renders moved.
create function vf_recounted(p_job job, p_was text[], p_is_now text[]) returns jsonb language sql immutable as $$
  select jsonb_object_agg(c.state, c.count + cardinality(array_positions(p_is_now, c.state)) - cardinality(array_positions(p_was, c.state)))
  from (values ('queued', p_job.render_queued), ('running', p_job.render_running), ('succeeded', p_job.render_succeeded),
    ('failed', p_job.render_failed), ('cancelled', p_job.render_cancelled)) as c(state, count);
$$;

-- Gives a locked open job its noted events, its renders and itself their states; renders that end use nothing any more.
create or replace function vf_settle_job(fx jsonb, p_job job) returns jsonb language plpgsql as $$
declare
  v_last integer := vf_write_events(fx, p_job);
  v_was text[];
  v_is_now text[];
  v_ended bigint[];
  v_counts jsonb;
  v_state text;
begin
  select array_agg(m.was), array_agg(m.is_now), array_agg(m.render_id) filter (where m.is_now not in ('queued', 'running'))
  into v_was, v_is_now, v_ended from vf_move_renders(fx, p_job.id) m;
  if v_was is null then
    update job set last_event = v_last where id = p_job.id and last_event <> v_last;
    return fx;
  end if;
  v_counts := vf_recounted(p_job, v_was, v_is_now);
  v_state := vf_job_state(p_job.state, v_counts);
  v_last := vf_write_render_events(p_job, v_ended, v_last);
  if v_state not in ('queued', 'running') then
    perform vf_end_job(p_job, v_state, v_last);
  else
    update job set state = v_state, last_event = v_last, render_queued = (v_counts ->> 'queued')::integer,
      render_running = (v_counts ->> 'running')::integer, render_succeeded = (v_counts ->> 'succeeded')::integer,
      render_failed = (v_counts ->> 'failed')::integer, render_cancelled = (v_counts ->> 'cancelled')::integer
    where id = p_job.id;
  end if;
  return case when v_ended is null then fx else vf_release_renders(fx, v_ended) end;
end $$;

drop function vf_job_state(job, jsonb);
drop function vf_release(jsonb, text);

-- Writes the noted events, numbered without gaps, and ends what they end; returns what others should hear of. Locks the jobs in id order.
create or replace function vf_flush(fx jsonb) returns jsonb language plpgsql as $$
declare
  v_id text;
  v_job job;
  v_touched text[] := '{}';
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
    'pushes', fx -> 'pushes');
end $$;
