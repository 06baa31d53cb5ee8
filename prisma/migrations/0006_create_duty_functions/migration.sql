-- What duties do on a timer: each one statement, safe to run twice, and nothing without a valid duty row.

-- Whether the caller still holds the duty; it cannot be taken over before the transaction ends.
create function vf_holds_duty(p_name text, p_epoch bigint) returns boolean language plpgsql as $$
begin
  perform 1 from duty d where d.name = p_name and d.epoch = p_epoch and d.until > clock_timestamp() for share;
  return found;
end $$;

-- Takes, renews or finds taken; null when another holder's time is not up. A new holder gets a new epoch.
create function vf_hold_duty(p_name text, p_holder text, p_hold_ms double precision) returns bigint language sql volatile as $$
  insert into duty as d (name, holder, epoch, until) values (p_name, p_holder, 1, vf_after(p_hold_ms))
  on conflict (name) do update set holder = excluded.holder, until = excluded.until,
    epoch = d.epoch + case when d.holder = excluded.holder then 0 else 1 end
  where d.holder = excluded.holder or d.until <= clock_timestamp()
  returning d.epoch;
$$;

-- The canary's beat arrived. Unbroken starts anew after a gap, or when the clocks of sender and database disagree.
-- Returns how long it has been unbroken, in ms.
create function vf_record_canary(p_sender_elapsed_ms double precision, p_gap_ms double precision, p_drift_ms double precision)
returns double precision language plpgsql as $$
declare
  v_canary canary;
  v_now timestamptz;
  v_elapsed_ms double precision;
begin
  insert into canary (last_at, unbroken_since) values (clock_timestamp(), clock_timestamp()) on conflict do nothing;
  select c.* into v_canary from canary c for no key update;
  v_now := clock_timestamp();
  v_elapsed_ms := extract(epoch from v_now - v_canary.last_at) * 1000;
  if v_elapsed_ms not between 0 and p_gap_ms or abs(v_elapsed_ms - p_sender_elapsed_ms) > p_drift_ms then
    v_canary.unbroken_since := v_now;
  end if;
  update canary set last_at = v_now, unbroken_since = v_canary.unbroken_since;
  return extract(epoch from v_now - v_canary.unbroken_since) * 1000;
end $$;

-- Attempts that a live session has not named for a full lease although it was heard of: its silence proves nothing.
create function vf_unnamed(p_lease_ms double precision) returns setof attempt language sql volatile as $$
  select a.* from attempt a join session s on s.id = a.session_id
  where a.state = 'running' and s.is_live and s.last_heard_at >= a.unnamed_since + p_lease_ms * interval '1 millisecond';
$$;

-- What the decision about reaping is made from: the canary, and each pool's live and lapsed sessions; and how many attempts are unnamed.
create function vf_lapses(p_lease_ms double precision) returns jsonb language sql volatile as $$
  select jsonb_build_object(
    'canary', (select jsonb_build_object('silentMs', extract(epoch from clock_timestamp() - c.last_at) * 1000,
                 'unbrokenMs', extract(epoch from c.last_at - c.unbroken_since) * 1000) from canary c),
    'unnamed', (select count(*) from vf_unnamed(p_lease_ms)),
    'pools', coalesce((select jsonb_agg(jsonb_build_object('pool', g.pool, 'live', g.live, 'lapsed', g.lapsed)) from (
        select s.pool, count(*) as live,
          coalesce(jsonb_agg(s.id order by s.lease_until) filter (where s.lease_until < clock_timestamp()), '[]') as lapsed
        from session s where s.is_live group by s.pool) g), '[]'));
$$;

-- Ends the given sessions that are still lapsed; their attempts are charged as lapsed, and so are those that live ones do not name.
-- Null when the duty is lost. Locks: sessions by id (not those that answer right now), then tasks, then jobs.
create function vf_reap(p_epoch bigint, p_sessions text[], p_policy jsonb, p_lease_ms double precision) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_locked text[];
  v_ended text[];
  v_attempt record;
  v_attempts integer := 0;
  v_lost constant jsonb := '{"code": "LEASE_LAPSED", "errorClass": "unexplained"}';
begin
  if not vf_holds_duty('reaper', p_epoch) then return null; end if;
  select array_agg(l.id) into v_locked from (
    select s.id from session s where s.id = any (p_sessions) or s.id in (select u.session_id from vf_unnamed(p_lease_ms) u)
    order by s.id for no key update skip locked) l;
  with ended as (
    update session set is_live = false, end_reason = 'lapsed', ended_at = clock_timestamp(), is_idle = false
    where id = any (v_locked) and id = any (p_sessions) and is_live and lease_until < clock_timestamp() returning id)
  select array_agg(e.id) into v_ended from ended e;
  for v_attempt in
    select a.id, a.task_id, 'the lease ran out' as why from attempt a where a.session_id = any (v_ended) and a.state = 'running'
    union all
    select u.id, u.task_id, 'its worker beats, but not for it' from vf_unnamed(p_lease_ms) u where u.session_id = any (v_locked)
    order by task_id
  loop
    fx := vf_free_attempt(fx, v_attempt.id, v_lost || jsonb_build_object('message', v_attempt.why), p_policy);
    v_attempts := v_attempts + 1;
  end loop;
  return jsonb_build_object('sessions', coalesce(cardinality(v_ended), 0), 'attempts', v_attempts, 'aftermath', vf_flush(fx));
end $$;

-- Delayed tasks whose back-off ended become ready. Null when the duty is lost. Index: task_delayed_idx.
create function vf_promote_delayed(p_epoch bigint) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_task bigint;
begin
  if not vf_holds_duty('promotion', p_epoch) then return null; end if;
  for v_task in
    select l.id from (select t.id from task t where t.state = 'delayed' and t.delayed_until <= clock_timestamp()
      order by t.delayed_until limit 500 for no key update skip locked) l order by l.id
  loop
    fx := vf_requeue(fx, v_task, null, false);
  end loop;
  return vf_flush(fx);
end $$;

-- What a task that never should be is: null when it is sound.
create function vf_unsoundness(t task) returns text language sql volatile as $$
  select case
    when t.state <> 'running' and not vf_is_wanted(t.id) then 'unused'
    when t.state = 'blocked' and t.inputs_missing <> vf_inputs_missing(t.id) then 'miscounted'
    when t.state = 'blocked' and t.inputs_missing = 0 then 'waits for nothing'
    when t.state = 'ready' and not exists (select 1 from ready q where q.task_id = t.id) then 'not queued'
    when t.state = 'running' and not exists (
      select 1 from attempt a join session s on s.id = a.session_id
      where a.id = t.current_attempt and a.state = 'running' and s.is_live) then 'without owner'
  end
  where t.state in ('blocked', 'ready', 'running', 'delayed');
$$;

-- Finds and repairs what should never be; {"repaired", "aftermath"}, null when the duty is lost. Each find is a bug.
create function vf_sweep(p_epoch bigint, p_policy jsonb) returns jsonb language plpgsql as $$
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
  select jsonb_set(fx, '{jobs}', coalesce(jsonb_agg(j.id), '[]')) into fx from job j
  where j.state in ('queued', 'running') and (
    select bool_and(t.state = 'succeeded') or bool_or(t.state in ('failed', 'cancelled'))
    from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id where r.job_id = j.id);
  v_repaired := v_repaired + jsonb_array_length(fx -> 'jobs');
  return jsonb_build_object('repaired', v_repaired, 'aftermath', vf_flush(fx));
end $$;

-- Whether anything may still ask for the artifact's bytes. p_options: {keepIntermediatesMs, longestUploadMs}.
create function vf_is_needed(p_sha256 text, p_options jsonb) returns boolean language sql volatile as $$
  select exists (select 1 from upload u where u.sha256 = p_sha256)
    or exists (select 1 from artifact a where a.sha256 = p_sha256 and not a.is_stored
               and a.announced_at > vf_after(-(p_options ->> 'longestUploadMs')::double precision))
    or exists (select 1 from task_input i join task t on t.id = i.task_id
               where i.upload_sha256 = p_sha256 and t.state in ('blocked', 'ready', 'running', 'delayed'))
    or exists (
      select 1 from task_output o join task p on p.id = o.task_id where o.sha256 = p_sha256 and (
        p.ended_at > vf_after(-(p_options ->> 'keepIntermediatesMs')::double precision)
        or exists (select 1 from task_input i join task t on t.id = i.task_id
                   where i.producer_id = p.id and t.state in ('blocked', 'ready', 'running', 'delayed'))
        or exists (select 1 from task_user u join render r on r.id = u.render_id join job j on j.id = r.job_id
                   where u.task_id = p.id and (u.is_wanted or (o.name = any (u.artifacts) and j.state = 'succeeded')))));
$$;

-- Condemns what nothing needs; returns the hashes that have been condemned for long enough. Null when the duty is lost.
create function vf_condemn(p_epoch bigint, p_options jsonb) returns text[] language plpgsql as $$
begin
  if not vf_holds_duty('collection', p_epoch) then return null; end if;
  update artifact set condemned_at = clock_timestamp()
  where sha256 in (select a.sha256 from artifact a where a.condemned_at is null and not vf_is_needed(a.sha256, p_options)
                   order by a.sha256 limit 1000 for no key update skip locked)
    and not vf_is_needed(sha256, p_options);
  return array(select a.sha256 from artifact a
    where a.condemned_at <= vf_after(-((p_options ->> 'longestUploadMs')::double precision + (p_options ->> 'leaseMs')::double precision))
    order by a.condemned_at limit 1000);
end $$;

-- Locks an artifact for its deletion and says whether that is still right. The tasks that made it are locked first and retired.
create function vf_begin_collect(p_sha256 text, p_options jsonb) returns boolean language plpgsql as $$
declare
  v_wait_ms constant double precision := (p_options ->> 'longestUploadMs')::double precision + (p_options ->> 'leaseMs')::double precision;
begin
  perform 1 from task t where t.id in (select o.task_id from task_output o where o.sha256 = p_sha256) order by t.id for no key update;
  perform 1 from artifact a where a.sha256 = p_sha256 and a.condemned_at <= vf_after(-v_wait_ms) for update;
  if not found then return false; end if;
  if vf_is_needed(p_sha256, p_options) then
    update artifact set condemned_at = null where sha256 = p_sha256;
    return false;
  end if;
  update task set is_retired = true where not is_retired and id in (select o.task_id from task_output o where o.sha256 = p_sha256);
  delete from task_output where sha256 = p_sha256;
  return true;
end $$;

-- Sessions that ended before, with their stored answers and the workers that had no other since.
create function vf_prune_sessions(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with answers as (
    delete from session_answer where session_id in (
      select s.id from session s join session_answer sa on sa.session_id = s.id where s.ended_at < p_before order by s.id limit p_limit)
    returning 1),
  workers as (
    delete from worker where id in (
      select w.id from worker w join session s on s.id = w.session_id where s.ended_at < p_before order by w.id limit p_limit)
    returning 1),
  sessions as (
    delete from session where id in (
      select s.id from session s where s.ended_at < p_before
        and not exists (select 1 from worker w where w.session_id = s.id)
        and not exists (select 1 from session_answer sa where sa.session_id = s.id)
        and not exists (select 1 from attempt a where a.session_id = s.id and a.state = 'running')
      order by s.id limit p_limit)
    returning 1)
  select ((select count(*) from answers) + (select count(*) from workers) + (select count(*) from sessions))::integer;
$$;

-- Attempts that ended before, of tasks that are over; not those that a score was made from.
create function vf_prune_attempts(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with attempts as (
    delete from attempt where id in (
      select a.id from attempt a join task t on t.id = a.task_id
      where a.ended_at < p_before and t.state in ('succeeded', 'failed', 'cancelled')
        and not exists (select 1 from score sc where sc.attempt_id = a.id)
      order by a.task_id, a.number limit p_limit)
    returning 1)
  select count(*)::integer from attempts;
$$;

-- Deletes a batch of what its retention no longer keeps: at most p_limit rows of each table, oldest first where the key says so.
-- Returns the number of rows, to be called again until it is 0; null when the duty is lost.
-- p_options: {keepSessionsMs, keepEventsMs, keepUsageMs, keepAttemptsMs}.
create function vf_prune(p_epoch bigint, p_options jsonb, p_limit integer) returns integer language plpgsql as $$
declare
  v_total integer;
begin
  if not vf_holds_duty('prune', p_epoch) then return null; end if;
  v_total := vf_prune_sessions(vf_after(-(p_options ->> 'keepSessionsMs')::double precision), p_limit);
  with gone as (
    delete from event where (job_id, number) in (
      select e.job_id, e.number from job j join event e on e.job_id = j.id and e.number <= j.sent_event
      where j.ended_at < vf_after(-(p_options ->> 'keepEventsMs')::double precision) limit p_limit) returning 1)
  select v_total + count(*) into v_total from gone;
  with gone as (
    delete from usage where id in (
      select u.id from usage u where u.at < vf_after(-(p_options ->> 'keepUsageMs')::double precision) order by u.id limit p_limit) returning 1)
  select v_total + count(*) into v_total from gone;
  return v_total + vf_prune_attempts(vf_after(-(p_options ->> 'keepAttemptsMs')::double precision), p_limit);
end $$;
