-- What every statement about tasks is made of.
--
-- `fx` collects what a transaction has to do at its end: {"ready": [task], "events": [..], "jobs": [job], "pushes": [..]}.
-- Locks are taken in one order: session, task (producer before consumer), artifact, pool, job. The few paths that cannot
-- (a failed job's other tasks) may lose a deadlock; the caller runs the whole statement again.

create function vf_no_effects() returns jsonb language sql immutable as $$
  select '{"ready": [], "events": [], "jobs": [], "pushes": []}'::jsonb;
$$;

create function vf_add(fx jsonb, p_key text, p_element jsonb) returns jsonb language sql immutable as $$
  select jsonb_set(fx, array[p_key], (fx -> p_key) || jsonb_build_array(p_element));
$$;

-- A fence as a worker sent it; null when it is none.
create function vf_fence(p_text text) returns uuid language sql immutable as $$
  select case when p_text ~ '^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$' then p_text::uuid end;
$$;

create function vf_after(p_ms double precision) returns timestamptz language sql volatile as $$
  select clock_timestamp() + p_ms * interval '1 millisecond';
$$;

-- Notes an event for every open job that uses the task.
create function vf_note(fx jsonb, p_task bigint, p_kind text, p_fields jsonb) returns jsonb language sql volatile as $$
  select jsonb_set(fx, '{events}', (fx -> 'events') || coalesce(
    (select jsonb_agg(jsonb_build_object('job', r.job_id, 'kind', p_kind, 'stage', t.stage, 'task', t.id) || p_fields order by r.job_id)
     from task t join task_user u on u.task_id = t.id and u.is_wanted join render r on r.id = u.render_id
     where t.id = p_task), '[]'));
$$;

create function vf_is_wanted(p_task bigint) returns boolean language sql volatile as $$
  select exists (select 1 from task_user u where u.task_id = p_task and u.is_wanted);
$$;

create function vf_inputs_missing(p_task bigint) returns integer language sql volatile as $$
  select count(*)::integer from task_input i join task p on p.id = i.producer_id where i.task_id = p_task and p.state <> 'succeeded';
$$;

-- Writes (or refreshes) the row by which a ready task is claimed: class, priority and age of its best user.
create function vf_rank(p_task bigint) returns void language sql volatile as $$
  insert into ready (task_id, pool, shape, class_rank, priority, queued_at, avoid)
  select t.id, t.pool, t.shape, best.class_rank, best.priority, best.created_at,
    array(select distinct a.worker_id from attempt a
          where a.task_id = t.id and a.error_class in ('unexplained', 'engine', 'capacity', 'worker'))
  from task t cross join lateral (
    select case j.job_class when 'production' then 0 else 1 end as class_rank, j.priority, j.created_at
    from task_user u join render r on r.id = u.render_id join job j on j.id = r.job_id
    where u.task_id = t.id and u.is_wanted
    order by 1, j.priority desc, j.created_at limit 1
  ) best
  where t.id = p_task
  on conflict (task_id) do update
    set class_rank = excluded.class_rank, priority = excluded.priority, queued_at = excluded.queued_at;
$$;

-- Moves a locked task to where it belongs without an attempt: cancelled without users, blocked without inputs, else ready.
-- p_attempt: its current attempt, which has ended; null when nobody runs it. Nothing happens when another is current.
-- p_recount: its inputs may have been lost since they were counted (locks the producers FOR SHARE).
create function vf_requeue(fx jsonb, p_task bigint, p_attempt uuid, p_recount boolean) returns jsonb language plpgsql as $$
declare
  v_missing integer := 0;
begin
  if not vf_is_wanted(p_task) then
    update task set state = 'cancelled', current_attempt = null, delayed_until = null, ended_at = clock_timestamp()
    where id = p_task and current_attempt is not distinct from p_attempt;
    if found then delete from ready where task_id = p_task; end if;
    return fx;
  end if;
  if p_recount then
    perform 1 from task p where p.id in (select i.producer_id from task_input i where i.task_id = p_task) order by p.id for share;
    v_missing := vf_inputs_missing(p_task);
  end if;
  update task set state = case when v_missing > 0 then 'blocked' else 'ready' end, inputs_missing = v_missing,
    current_attempt = null, delayed_until = null, ended_at = null
  where id = p_task and current_attempt is not distinct from p_attempt;
  if not found or v_missing > 0 then
    return fx;
  end if;
  perform vf_rank(p_task);
  return vf_add(fx, 'ready', to_jsonb(p_task));
end $$;

-- A succeeded task whose output was lost runs again, with fresh budgets, for the users of the task that missed it.
create function vf_reopen(fx jsonb, p_task bigint, p_consumer bigint, p_lost text[]) returns jsonb language plpgsql as $$
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

-- Reopens the producers of the bad inputs. False when one is an upload: nothing can make that again.
create function vf_reopen_producers(inout fx jsonb, p_task bigint, p_attempt attempt, p_bad text[], out is_repairable boolean)
language plpgsql as $$
declare
  v_producer task;
begin
  update artifact set is_stored = false
  where sha256 in (select i.upload_sha256 from task_input i where i.task_id = p_task) and sha256 = any (p_bad);
  is_repairable := not found;
  for v_producer in
    select p.* from task p where p.id in (
      select i.producer_id from task_input i
      join task_output o on o.task_id = i.producer_id and o.name = i.producer_output
      where i.task_id = p_task and o.sha256 = any (p_bad))
    order by p.id for no key update
  loop
    -- One that ended after this attempt began has been run again already.
    if v_producer.state = 'succeeded' and v_producer.ended_at <= p_attempt.started_at then
      fx := vf_reopen(fx, v_producer.id, p_task, p_bad);
    end if;
  end loop;
end $$;

-- Ends a current attempt badly and decides by the policy (services/domain/retry.ts) what becomes of its locked task.
-- p_failure: {code, errorClass, message, badInputs, jitter}; p_policy: {class: {failures, delaysMs, exhaustedCode}}.
create function vf_fail(fx jsonb, p_attempt attempt, p_failure jsonb, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  v_class text := p_failure ->> 'errorClass';
  v_rule jsonb := p_policy -> v_class;
  v_task task;
  v_count integer;
  v_is_dead boolean;
  v_code text := p_failure ->> 'code';
  v_message text := p_failure ->> 'message';
  v_delay_ms double precision;
begin
  update attempt set state = case when p_failure ? 'lost' then 'lost' else 'failed' end, ended_at = clock_timestamp(),
    error_code = v_code, error_class = v_class, error_message = v_message
  where id = p_attempt.id;
  if not vf_is_wanted(p_attempt.task_id) then
    return vf_requeue(fx, p_attempt.task_id, p_attempt.id, false);
  end if;
  update task set failures = failures || jsonb_build_object(v_class, coalesce((failures ->> v_class)::integer, 0) + 1)
  where id = p_attempt.task_id and current_attempt = p_attempt.id returning * into v_task;
  if not found then return fx; end if;
  v_count := (v_task.failures ->> v_class)::integer;
  v_is_dead := coalesce(v_count >= (v_rule ->> 'failures')::integer, false);
  if v_class = 'artifact' then
    select f.fx, v_is_dead or not f.is_repairable into fx, v_is_dead
    from vf_reopen_producers(fx, v_task.id, p_attempt, array(select jsonb_array_elements_text(p_failure -> 'badInputs'))) f;
  end if;
  if v_is_dead then
    if v_rule ? 'exhaustedCode' then
      v_message := format('%s times without a known cause, last: %s: %s', v_count, v_code, v_message);
      v_code := v_rule ->> 'exhaustedCode';
    end if;
    update task set state = 'failed', current_attempt = null, failure_code = v_code, failure_message = v_message,
      ended_at = clock_timestamp()
    where id = v_task.id and current_attempt = p_attempt.id;
    return vf_note(fx, v_task.id, 'task.failed',
      jsonb_build_object('worker', p_attempt.worker_name, 'message', v_message, 'code', v_code));
  end if;
  fx := vf_note(fx, v_task.id, 'task.retried', jsonb_build_object('worker', p_attempt.worker_name, 'message', v_code || ': ' || v_message));
  v_delay_ms := coalesce((v_rule -> 'delaysMs' ->> least(v_count, jsonb_array_length(v_rule -> 'delaysMs')) - 1)::double precision, 0)
    * (1 - coalesce((p_failure ->> 'jitter')::double precision, 0) / 2);
  if v_delay_ms = 0 or v_class = 'artifact' then
    return vf_requeue(fx, v_task.id, p_attempt.id, true);
  end if;
  update task set state = 'delayed', current_attempt = null, delayed_until = vf_after(v_delay_ms)
  where id = v_task.id and current_attempt = p_attempt.id;
  return fx;
end $$;

-- Commits a current attempt's outputs, and everything that follows from them, for a locked task.
-- p_success: {outputs: [{name, sha256, sizeBytes, mediaType}], provider, profile, warnings}.
create function vf_succeed(fx jsonb, p_attempt attempt, p_success jsonb, p_compute_ms double precision) returns jsonb
language plpgsql as $$
declare
  v_dependent record;
  v_left integer;
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
  for v_dependent in
    select i.task_id, count(*)::integer as inputs from task_input i where i.producer_id = p_attempt.task_id group by i.task_id order by i.task_id
  loop
    update task set inputs_missing = inputs_missing - v_dependent.inputs
    where id = v_dependent.task_id and state = 'blocked' returning inputs_missing into v_left;
    if found and v_left = 0 then
      fx := vf_requeue(fx, v_dependent.task_id, null, false);
    end if;
  end loop;
  return fx;
end $$;

-- The first output that something needs and the success lacks; null when all are there.
create function vf_lacking_output(p_task bigint, p_outputs jsonb) returns text language sql volatile as $$
  select needed.name from (
    select i.producer_output as name from task_input i where i.producer_id = p_task
    union select unnest(u.artifacts) from task_user u where u.task_id = p_task
  ) needed
  where not exists (select 1 from jsonb_array_elements(p_outputs) o where o ->> 'name' = needed.name)
  order by 1 limit 1;
$$;

-- Puts an ended attempt into the books. The only second entry is the report of one that was taken away: it corrects the first.
-- p_times: {deviceMs, loadMs, computeMs, fetchMs, finishMs}, those that are known.
create function vf_book(p_attempt attempt, p_disposition text, p_times jsonb) returns void language sql volatile as $$
  insert into usage (attempt_id, task_id, tenant_id, worker_id, stage, disposition, device_ms, load_ms, compute_ms, fetch_ms, finish_ms)
  select p_attempt.id, t.id, t.tenant_id, p_attempt.worker_id, t.stage, p_disposition, coalesce(r."deviceMs", 0),
    coalesce(r."loadMs", 0), coalesce(r."computeMs", 0), coalesce(r."fetchMs", 0), coalesce(r."finishMs", 0)
  from task t cross join jsonb_to_record(p_times) as r("deviceMs" double precision, "loadMs" double precision,
    "computeMs" double precision, "fetchMs" double precision, "finishMs" double precision)
  where t.id = p_attempt.task_id
  on conflict (attempt_id) do update set disposition = excluded.disposition, device_ms = excluded.device_ms,
    load_ms = excluded.load_ms, compute_ms = excluded.compute_ms, fetch_ms = excluded.fetch_ms, finish_ms = excluded.finish_ms;
$$;

-- One report of an ended attempt: in the books once, applied only when the attempt is current (the fence).
create function vf_apply_report(inout fx jsonb, p_report jsonb, p_policy jsonb, out disposition text) language plpgsql as $$
declare
  v_id uuid := vf_fence(p_report ->> 'attemptId');
  v_attempt attempt;
  v_task task;
  v_failure jsonb := p_report -> 'failure';
  v_lacking text;
begin
  disposition := 'superseded';
  select a.* into v_attempt from attempt a where a.id = v_id;
  if not found then return; end if;
  select t.* into v_task from task t where t.id = v_attempt.task_id for no key update;
  select a.* into v_attempt from attempt a where a.id = v_id;
  if v_attempt.disposition is not null then
    disposition := case v_attempt.disposition when 'committed' then 'already_committed' else 'superseded' end;
    return;
  end if;
  if v_attempt.state = 'running' and v_task.current_attempt = v_id then
    disposition := 'committed';
  end if;
  update attempt set disposition = vf_apply_report.disposition, compute_ms = (p_report ->> 'computeMs')::double precision,
    load_ms = (p_report ->> 'loadMs')::double precision
  where id = v_id;
  perform vf_book(v_attempt, disposition, p_report);
  if disposition = 'superseded' then return; end if;
  if v_failure is null then
    v_lacking := vf_lacking_output(v_task.id, p_report -> 'success' -> 'outputs');
    if v_lacking is null then
      fx := vf_succeed(fx, v_attempt, p_report -> 'success', (p_report ->> 'computeMs')::double precision);
      return;
    end if;
    v_failure := jsonb_build_object('code', 'STAGE_FAILED', 'errorClass', 'transient', 'message', format('output %s is missing', v_lacking));
  end if;
  if (v_failure ->> 'abandoned')::boolean then
    update attempt set state = 'abandoned', ended_at = clock_timestamp(), error_message = v_failure ->> 'message' where id = v_id;
    fx := vf_requeue(fx, v_task.id, v_id, true);
    return;
  end if;
  fx := vf_fail(fx, v_attempt, v_failure, p_policy);
end $$;

-- Ends an attempt that its worker does not report: given back (uncharged) or lost (charged by p_failure).
create function vf_free_attempt(fx jsonb, p_attempt uuid, p_failure jsonb, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  v_attempt attempt;
begin
  perform 1 from task t join attempt a on a.task_id = t.id where a.id = p_attempt for no key update of t;
  select a.* into v_attempt from attempt a join task t on t.current_attempt = a.id where a.id = p_attempt and a.state = 'running';
  if not found then
    return fx;
  end if;
  perform vf_book(v_attempt, case when p_failure is null then 'returned' else 'lost' end,
    jsonb_build_object('deviceMs', v_attempt.device_ms));
  if p_failure is not null then
    return vf_fail(fx, v_attempt, p_failure || '{"lost": true}', p_policy);
  end if;
  update attempt set state = 'abandoned', ended_at = clock_timestamp(), error_message = 'given back' where id = p_attempt;
  return vf_requeue(fx, v_attempt.task_id, p_attempt, true);
end $$;

-- An ended job uses nothing any more: what nobody else wants is cancelled, or pushed as unwanted while it runs.
create function vf_release(fx jsonb, p_job text) returns jsonb language plpgsql as $$
declare
  v_task task;
begin
  update task_user u set is_wanted = false from render r where r.id = u.render_id and r.job_id = p_job and u.is_wanted;
  for v_task in
    select t.* from task t where t.state in ('blocked', 'ready', 'delayed', 'running')
      and t.id in (select u.task_id from task_user u join render r on r.id = u.render_id where r.job_id = p_job)
    order by t.id for no key update
  loop
    if vf_is_wanted(v_task.id) then
      if v_task.state = 'ready' then
        perform vf_rank(v_task.id);
        fx := vf_add(fx, 'ready', to_jsonb(v_task.id));
      end if;
    elsif v_task.state = 'running' then
      fx := vf_add(fx, 'pushes', (select jsonb_build_object('workerId', a.worker_id, 'attemptId', a.id, 'level', 'unwanted')
                                  from attempt a where a.id = v_task.current_attempt));
    else
      fx := vf_requeue(fx, v_task.id, null, false);
    end if;
  end loop;
  return fx;
end $$;

-- Writes a locked job's noted events behind those that it has; returns the number of its last.
create function vf_write_events(fx jsonb, p_job job) returns integer language plpgsql as $$
declare
  v_count integer;
begin
  insert into event (job_id, number, at, kind, stage, task_id, worker_name, message, compute_ms, job_state)
  select p_job.id, p_job.last_event + row_number() over (order by e.ord), clock_timestamp(), e.value ->> 'kind',
    coalesce(e.value ->> 'stage', ''), coalesce((e.value ->> 'task')::bigint, 0), coalesce(e.value ->> 'worker', ''),
    coalesce(e.value ->> 'message', ''), coalesce((e.value ->> 'computeMs')::double precision, 0),
    case e.value ->> 'kind' when 'job.submitted' then 'queued' when 'job.cancelled' then 'cancelled' end
  from jsonb_array_elements(fx -> 'events') with ordinality e(value, ord) where e.value ->> 'job' = p_job.id;
  get diagnostics v_count = row_count;
  return p_job.last_event + v_count;
end $$;

-- The state of a job, from its tasks and the event that ends it, if there is one.
create function vf_job_state(p_job job, p_end jsonb) returns text language sql volatile as $$
  select case
      when p_end ->> 'kind' = 'job.cancelled' then 'cancelled'
      when p_end is not null or bool_or(t.state in ('failed', 'cancelled')) then 'failed'
      when bool_and(t.state = 'succeeded') then 'succeeded'
      when p_job.state = 'running' or bool_or(t.state in ('running', 'delayed')) then 'running'
      else 'queued'
    end
  from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id where r.job_id = p_job.id;
$$;

-- Gives a locked open job its noted events and its state; one that ends uses nothing any more.
create function vf_settle_job(fx jsonb, p_job job) returns jsonb language plpgsql as $$
declare
  v_last integer := vf_write_events(fx, p_job);
  v_end jsonb := (select e.value from jsonb_array_elements(fx -> 'events') with ordinality e(value, ord)
                  where e.value ->> 'job' = p_job.id and e.value ->> 'kind' in ('task.failed', 'job.cancelled') order by e.ord limit 1);
  v_state text := vf_job_state(p_job, v_end);
begin
  if v_state in ('failed', 'succeeded') then
    v_last := v_last + 1;
    insert into event (job_id, number, at, kind, stage, message, job_state)
    values (p_job.id, v_last, clock_timestamp(), 'job.' || v_state, coalesce(v_end ->> 'stage', ''),
      case when v_end is null then '' else (v_end ->> 'code') || ': ' || (v_end ->> 'message') end, v_state);
  end if;
  update job set state = v_state, last_event = v_last,
    ended_at = case when v_state in ('failed', 'succeeded', 'cancelled') then clock_timestamp() end,
    failure_code = case when v_state = 'failed' then coalesce(v_end ->> 'code', 'INTERNAL') end,
    failure_message = case when v_state = 'failed' then coalesce(v_end ->> 'message', 'a task of the job had ended') end,
    failure_stage = case when v_state = 'failed' then coalesce(v_end ->> 'stage', '') end
  where id = p_job.id;
  if v_state in ('failed', 'succeeded', 'cancelled') then
    return vf_release(fx, p_job.id);
  end if;
  return fx;
end $$;

-- Writes the noted events, numbered without gaps, and ends the jobs that they end; returns what others should hear of. Locks the jobs
-- in id order.
create function vf_flush(fx jsonb) returns jsonb language plpgsql as $$
declare
  v_id text;
  v_job job;
begin
  for v_id in
    select e ->> 'job' from jsonb_array_elements(fx -> 'events') e union select jsonb_array_elements_text(fx -> 'jobs') order by 1
  loop
    select j.* into v_job from job j where j.id = v_id for no key update;
    continue when v_job.state not in ('queued', 'running');
    fx := vf_settle_job(fx, v_job);
  end loop;
  return jsonb_build_object(
    'ready', coalesce((select jsonb_agg(jsonb_build_object('pool', g.pool, 'shape', g.shape, 'count', g.count)) from (
        select q.pool, q.shape, count(*) from ready q
        where q.task_id in (select value::bigint from jsonb_array_elements_text(fx -> 'ready')) group by q.pool, q.shape) g), '[]'),
    'touchedJobIds', coalesce((select jsonb_agg(distinct e ->> 'job') from jsonb_array_elements(fx -> 'events') e), '[]'),
    'pushes', fx -> 'pushes');
end $$;
