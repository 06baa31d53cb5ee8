-- next, report and beat: one call each, arrays in, one outcome per item out.
--
-- p_options: {leaseMs, pools: {name: profile}, policy: {class: rule}}. An ask: {position, sessionId, sequence, farmEpoch, ..}.
-- A session appears at most once in a call. Order of locks: all sessions by id; then reports task by task; then the pools
-- by name; then, claiming, ready rows and tasks that nobody holds; then jobs by id.

create function vf_refusal(p_code text, p_message text) returns jsonb language sql stable as $$
  select jsonb_build_object('kind', 'refused', 'code', p_code, 'message', p_message, 'farmEpoch', (select f.epoch from farm f));
$$;

create function vf_level(p_fence text) returns text language sql volatile as $$
  select coalesce((
    select case when not (a.state = 'running' and t.current_attempt = a.id) then 'revoked'
      when vf_is_wanted(t.id) then 'wanted' else 'unwanted' end
    from attempt a join task t on t.id = a.task_id where a.id = vf_fence(p_fence)), 'revoked');
$$;

-- Opens the session of an ask that is heard of for the first time; ends the worker's older one. Locks the session row. Null when there
-- is none: no worker to open it for, or a newer life of the worker is known, and a late message must not end that.
create function vf_open_session(p_ask jsonb, p_lease_ms double precision) returns session language plpgsql as $$
declare
  v_session session;
  v_worker jsonb := p_ask -> 'worker';
  v_known worker;
begin
  select s.* into v_session from session s where s.id = p_ask ->> 'sessionId' for no key update;
  if found or v_worker is null then return v_session; end if;
  -- One opening of a worker's sessions at a time, also of a worker that has no row yet.
  perform pg_advisory_xact_lock(hashtextextended('vapfarm worker ' || (v_worker ->> 'workerId'), 0));
  select s.* into v_session from session s where s.id = p_ask ->> 'sessionId' for no key update;
  if found then return v_session; end if;
  select w.* into v_known from worker w where w.id = v_worker ->> 'workerId';
  if v_known.life >= (v_worker ->> 'life')::bigint then return null; end if;
  insert into session (id, worker_id, pool, lease_until, last_heard_at)
  values (p_ask ->> 'sessionId', v_worker ->> 'workerId', v_worker ->> 'pool', vf_after(p_lease_ms), clock_timestamp())
  returning * into v_session;
  update session set is_live = false, end_reason = 'superseded', ended_at = clock_timestamp(), is_idle = false
  where id = v_known.session_id and is_live;
  return v_session;
end $$;

create function vf_describe_worker(p_session text, p_worker jsonb) returns void language sql volatile as $$
  insert into worker (id, session_id, name, host, pool, provider, profile, device, memory_bytes, models, shapes, resident_engines,
    software_version, life)
  select w."workerId", p_session, w.name, w.host, w.pool, w.provider, w.profile, w.device, w."memoryBytes", w.models, w.shapes,
    w."residentEngineDigests", w."softwareVersion", w.life
  from jsonb_to_record(p_worker) as w("workerId" text, name text, host text, pool text, provider text, profile text, device text,
    "memoryBytes" bigint, models text[], shapes text[], "residentEngineDigests" text[], "softwareVersion" text, life bigint)
  on conflict (id) do update set session_id = excluded.session_id, name = excluded.name, host = excluded.host, pool = excluded.pool,
    provider = excluded.provider, profile = excluded.profile, device = excluded.device, memory_bytes = excluded.memory_bytes,
    models = excluded.models, shapes = excluded.shapes, resident_engines = excluded.resident_engines,
    software_version = excluded.software_version, life = excluded.life
  where (worker.session_id, worker.name, worker.host, worker.pool, worker.provider, worker.profile, worker.device, worker.memory_bytes,
      worker.models, worker.shapes, worker.resident_engines, worker.software_version)
    is distinct from (excluded.session_id, excluded.name, excluded.host, excluded.pool, excluded.provider, excluded.profile,
      excluded.device, excluded.memory_bytes, excluded.models, excluded.shapes, excluded.resident_engines, excluded.software_version);
$$;

-- The refusal of an ended session; null is one that never was.
create function vf_ended(p_reason text) returns jsonb language sql stable as $$
  select case coalesce(p_reason, '')
    when 'superseded' then vf_refusal('SESSION_SUPERSEDED', 'another life of this worker has taken its place')
    when 'lapsed' then vf_refusal('SESSION_ENDED', 'the lease lapsed')
    when 'stopped' then vf_refusal('SESSION_ENDED', 'the worker said that it stops')
    else vf_refusal('SESSION_ENDED', 'no such session') end;
$$;

-- Whether an ask may go on: null, else its outcome (refused, or the stored answer of a request that was sent again).
-- A report is heard of an ended session too: its attempts' fences decide, and the books must have it.
create function vf_admit(p_ask jsonb, p_kind text, p_options jsonb) returns jsonb language plpgsql as $$
declare
  v_lease_ms double precision := (p_options ->> 'leaseMs')::double precision;
  v_epoch bigint := (select f.epoch from farm f);
  v_pool text := p_ask -> 'worker' ->> 'pool';
  v_session session;
  v_answer jsonb;
begin
  if (p_ask ->> 'farmEpoch')::bigint not in (0, v_epoch) then
    return vf_refusal('EPOCH_MISMATCH', 'the farm was restored since this session began');
  end if;
  if p_kind = 'next' and not p_options -> 'pools' ? v_pool then
    return vf_refusal('POOL_UNKNOWN', format('the farm has no pool %s', v_pool));
  end if;
  if p_kind = 'next' and p_options -> 'pools' ->> v_pool <> p_ask -> 'worker' ->> 'profile' then
    return vf_refusal('POOL_PROFILE_MISMATCH', format('pool %s has profile %s, the worker has %s', v_pool,
      p_options -> 'pools' ->> v_pool, p_ask -> 'worker' ->> 'profile'));
  end if;
  v_session := vf_open_session(p_ask, v_lease_ms);
  if v_session.id is null then
    return vf_ended(case when p_kind = 'next' then 'superseded' end);
  end if;
  -- Its last word may be sent again; nothing else is heard of it.
  if p_kind = 'next' and not v_session.is_live
    and (v_session.end_reason <> 'stopped' or (p_ask ->> 'sequence')::bigint <> v_session.sequence) then
    return vf_ended(v_session.end_reason);
  end if;
  if (p_ask ->> 'sequence')::bigint < v_session.sequence then
    return vf_refusal('SEQUENCE_STALE', format('sequence %s came after %s', p_ask ->> 'sequence', v_session.sequence));
  end if;
  update session set lease_until = vf_after(v_lease_ms), last_heard_at = clock_timestamp() where id = v_session.id and is_live;
  if (p_ask ->> 'sequence')::bigint > v_session.sequence then
    return null;
  end if;
  select sa.answer || '{"replayed": true}' into v_answer from session_answer sa where sa.session_id = v_session.id and sa.kind = p_kind;
  return coalesce(v_answer, vf_refusal('SEQUENCE_STALE', 'the sequence was used by another request'));
end $$;

create function vf_store_answer(p_ask jsonb, p_kind text, p_answer jsonb) returns void language plpgsql as $$
begin
  update session set sequence = (p_ask ->> 'sequence')::bigint where id = p_ask ->> 'sessionId';
  insert into session_answer (session_id, kind, answer) values (p_ask ->> 'sessionId', p_kind, p_answer)
  on conflict (session_id) do update set kind = excluded.kind, answer = excluded.answer;
end $$;

-- The reports that an ask carries, in their order. Each outcome names its attempt's stage, so that any coordinator can count by it;
-- without it when the attempt is not known.
create function vf_apply_reports(inout fx jsonb, p_ask jsonb, p_policy jsonb, out outcomes jsonb) language plpgsql as $$
declare
  v_report jsonb;
  v_disposition text;
  v_stage text;
begin
  outcomes := '[]';
  for v_report in select r.value from jsonb_array_elements(p_ask -> 'reports') with ordinality r(value, ord) order by r.ord loop
    select f.fx, f.disposition into fx, v_disposition from vf_apply_report(fx, v_report, p_policy) f;
    select t.stage into v_stage from attempt a join task t on t.id = a.task_id where a.id = vf_fence(v_report ->> 'attemptId');
    outcomes := outcomes || jsonb_strip_nulls(
      jsonb_build_object('attemptId', v_report ->> 'attemptId', 'disposition', v_disposition, 'stage', v_stage));
  end loop;
end $$;

-- Attempts that the worker does not hold although they are its own: of its older lives (lost), or never received, or all of them when
-- it leaves (given back). What it holds is named by that.
create function vf_free_unheld(fx jsonb, p_ask jsonb, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  v_attempt record;
  v_lost constant jsonb := '{"code": "SESSION_SUPERSEDED", "errorClass": "unexplained", "message": "the worker started anew"}';
begin
  for v_attempt in
    select a.id, a.session_id from attempt a
    where a.state = 'running' and a.session_id in (
        select p_ask ->> 'sessionId'
        union select w.session_id from worker w where w.id = p_ask -> 'worker' ->> 'workerId')
      and (a.session_id <> p_ask ->> 'sessionId'
        or (p_ask ->> 'leaving')::boolean
        or a.id not in (select vf_fence(h) from jsonb_array_elements_text(p_ask -> 'heldAttemptIds') h where vf_fence(h) is not null))
    order by a.task_id
  loop
    fx := vf_free_attempt(fx, v_attempt.id, case when v_attempt.session_id <> p_ask ->> 'sessionId' then v_lost end, p_policy);
  end loop;
  update attempt set unnamed_since = null
  where session_id = p_ask ->> 'sessionId' and state = 'running' and unnamed_since is not null;
  return fx;
end $$;

create function vf_expected_ms(p_shape text) returns double precision language sql stable as $$
  select coalesce(avg(recent.compute_ms), 0) from (
    select a.compute_ms from attempt a where a.shape = p_shape and a.state = 'succeeded' order by a.ended_at desc limit 5) recent;
$$;

create function vf_claim_view(p_attempt attempt) returns jsonb language sql volatile as $$
  select jsonb_build_object('taskId', t.id, 'attemptId', p_attempt.id, 'attemptNumber', p_attempt.number, 'stage', t.stage,
    'model', t.model, 'engineDigests', t.engine_digests, 'parameters', t.parameters, 'expectedMs', vf_expected_ms(t.shape),
    'inputs', coalesce((
      select jsonb_agg(jsonb_build_object('name', i.name, 'sha256', a.sha256, 'sizeBytes', a.size_bytes) order by i.name)
      from task_input i left join task_output o on o.task_id = i.producer_id and o.name = i.producer_output
      join artifact a on a.sha256 = coalesce(i.upload_sha256, o.sha256) where i.task_id = t.id), '[]'),
    'jobIds', (select jsonb_agg(distinct r.job_id) from task_user u join render r on r.id = u.render_id
               where u.task_id = t.id and u.is_wanted))
  from task t where t.id = p_attempt.task_id;
$$;

-- Claims the best ready task that the worker can run; null when there is none. The caller holds the pool's lock.
-- A worker that a task avoids gets it only when no other live worker could. Index: ready_order_idx, one head per shape.
create function vf_claim(inout fx jsonb, p_session text, p_worker jsonb, out claim jsonb) language plpgsql as $$
declare
  v_head record;
  v_worker text := p_worker ->> 'workerId';
  v_attempt attempt;
begin
  select head.* into v_head
  from jsonb_array_elements_text(p_worker -> 'shapes') shape(name) cross join lateral (
    select q.task_id, q.class_rank, q.priority, q.queued_at, q.shape
    from ready q join task t on t.id = q.task_id
    where q.pool = p_worker ->> 'pool' and q.shape = shape.name
      and (v_worker <> all (q.avoid) or not exists (
        select 1 from worker o join session os on os.id = o.session_id
        where o.pool = q.pool and q.shape = any (o.shapes) and o.id <> all (q.avoid)
          and os.is_live and os.lease_until > clock_timestamp()))
    order by q.class_rank, q.priority desc, q.queued_at, q.task_id limit 1
    for no key update of q, t skip locked
  ) head
  order by head.class_rank, head.priority desc, head.queued_at, head.task_id limit 1;
  if not found then return; end if;
  delete from ready where task_id = v_head.task_id;
  -- Not the transaction's time: the same call may have committed an input of this task.
  insert into attempt (task_id, number, shape, session_id, worker_id, worker_name, started_at)
  select t.id, t.attempt_count + 1, t.shape, p_session, v_worker, p_worker ->> 'name', clock_timestamp()
  from task t where t.id = v_head.task_id returning * into v_attempt;
  update task set state = 'running', current_attempt = v_attempt.id, attempt_count = v_attempt.number where id = v_head.task_id;
  fx := vf_note(fx, v_head.task_id, 'task.started', jsonb_build_object('worker', v_attempt.worker_name));
  claim := vf_claim_view(v_attempt);
end $$;

-- What an answered ask leaves its session as: ended when it was the worker's last word, else idle or not.
create function vf_settle_session(p_ask jsonb, p_has_claim boolean) returns void language plpgsql as $$
begin
  if (p_ask ->> 'leaving')::boolean then
    update session set is_live = false, end_reason = 'stopped', ended_at = clock_timestamp(), is_idle = false
    where id = p_ask ->> 'sessionId';
    return;
  end if;
  update session set is_idle = (p_ask ->> 'freeSlots')::integer > 0 and not p_has_claim where id = p_ask ->> 'sessionId';
end $$;

create function vf_placed(p_ask jsonb, p_outcome jsonb) returns jsonb language sql immutable as $$
  select jsonb_build_object('position', p_ask -> 'position', 'outcome', p_outcome);
$$;

-- The asks of a call that may go on, in order of session, and the outcomes of the others. Locks the sessions.
create function vf_admit_all(p_asks jsonb, p_kind text, p_options jsonb, out admitted jsonb[], out outcomes jsonb[]) language plpgsql as $$
declare
  v_ask jsonb;
  v_outcome jsonb;
begin
  admitted := '{}';
  outcomes := '{}';
  for v_ask in select a.value from jsonb_array_elements(p_asks) a order by a.value ->> 'sessionId' loop
    v_outcome := vf_admit(v_ask, p_kind, p_options);
    if v_outcome is null then
      admitted := array_append(admitted, v_ask);
    else
      outcomes := array_append(outcomes, vf_placed(v_ask, v_outcome));
    end if;
  end loop;
end $$;

-- What an ask tells before anything is claimed: reports, what the worker holds, what it is.
create function vf_hear(inout fx jsonb, p_ask jsonb, p_policy jsonb, out outcomes jsonb) language plpgsql as $$
begin
  select f.fx, f.outcomes into fx, outcomes from vf_apply_reports(fx, p_ask, p_policy) f;
  fx := vf_free_unheld(fx, p_ask, p_policy);
  perform vf_describe_worker(p_ask ->> 'sessionId', p_ask -> 'worker');
end $$;

-- Locks the pools, by name, that someone may claim from.
create function vf_lock_pools(p_asks jsonb[]) returns void language plpgsql as $$
declare
  v_pool text;
begin
  for v_pool in
    select distinct a.ask -> 'worker' ->> 'pool' from unnest(p_asks) a(ask) where (a.ask ->> 'freeSlots')::integer > 0 order by 1
  loop
    perform pg_advisory_xact_lock(hashtextextended('vapfarm pool ' || v_pool, 0));
  end loop;
end $$;

create function vf_next_answer(p_ask jsonb, p_claim jsonb, p_report_outcomes jsonb, p_options jsonb) returns jsonb language sql volatile as $$
  select jsonb_build_object('kind', 'answered', 'replayed', false, 'farmEpoch', (select f.epoch from farm f),
    'leaseMs', p_options -> 'leaseMs', 'claim', p_claim, 'reportOutcomes', p_report_outcomes,
    'levels', coalesce((select jsonb_agg(jsonb_build_object('attemptId', h, 'level', vf_level(h)))
                        from jsonb_array_elements_text(p_ask -> 'heldAttemptIds') h), '[]'));
$$;

-- Outcomes: refused, or answered with at most one claim per ask. See the top for locks.
create function vf_next(p_asks jsonb, p_options jsonb) returns jsonb language plpgsql as $$
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
create function vf_report(p_asks jsonb, p_options jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_asks jsonb[];
  v_outcomes jsonb[];
  v_ask jsonb;
  v_part jsonb;
begin
  select a.admitted, a.outcomes into v_asks, v_outcomes from vf_admit_all(p_asks, 'report', p_options) a;
  foreach v_ask in array v_asks loop
    select f.fx, f.outcomes into fx, v_part from vf_apply_reports(fx, v_ask, p_options -> 'policy') f;
    v_part := jsonb_build_object('kind', 'answered', 'replayed', false, 'farmEpoch', (select f.epoch from farm f), 'reportOutcomes', v_part);
    perform vf_store_answer(v_ask, 'report', v_part);
    v_outcomes := array_append(v_outcomes, vf_placed(v_ask, v_part));
  end loop;
  return jsonb_build_object('outcomes', to_jsonb(v_outcomes), 'aftermath', vf_flush(fx));
end $$;

-- Renews the attempts that a beat names, with what they have cost so far, and notes which it leaves out. HOT updates.
create function vf_renew_attempts(p_session text, p_progress jsonb) returns void language plpgsql as $$
begin
  update attempt a set device_ms = greatest(a.device_ms, p."deviceMs"), unnamed_since = null
  from jsonb_to_recordset(p_progress) as p("attemptId" text, "deviceMs" double precision)
  where a.id = vf_fence(p."attemptId") and a.session_id = p_session and a.state = 'running';
  update attempt set unnamed_since = clock_timestamp()
  where session_id = p_session and state = 'running' and unnamed_since is null
    and id not in (select vf_fence(p ->> 'attemptId') from jsonb_array_elements(p_progress) p where vf_fence(p ->> 'attemptId') is not null);
end $$;

-- One session's beat: renews its lease and the attempts that it names, and keeps what it announces from collection.
create function vf_beat_one(p_ask jsonb, p_lease_ms double precision) returns jsonb language plpgsql as $$
declare
  v_session session;
begin
  if (p_ask ->> 'farmEpoch')::bigint not in (0, (select f.epoch from farm f)) then
    return vf_refusal('EPOCH_MISMATCH', 'the farm was restored since this session began');
  end if;
  update session set lease_until = vf_after(p_lease_ms), last_heard_at = clock_timestamp(),
    beat_sequence = (p_ask ->> 'sequence')::bigint, progress = p_ask -> 'progress'
  where id = p_ask ->> 'sessionId' and is_live and beat_sequence <= (p_ask ->> 'sequence')::bigint
  returning * into v_session;
  if not found then
    select s.* into v_session from session s where s.id = p_ask ->> 'sessionId';
    return case
      when v_session.is_live then vf_refusal('SEQUENCE_STALE', 'a newer beat came first')
      else vf_ended(v_session.end_reason) end;
  end if;
  perform vf_renew_attempts(v_session.id, p_ask -> 'progress');
  insert into artifact (sha256, size_bytes, media_type)
  select distinct on (a ->> 'sha256') a ->> 'sha256', (a ->> 'sizeBytes')::bigint, a ->> 'mediaType'
  from jsonb_array_elements(p_ask -> 'announced') a order by a ->> 'sha256'
  on conflict (sha256) do update set announced_at = clock_timestamp(), condemned_at = null
    where not artifact.is_stored or artifact.condemned_at is not null;
  return jsonb_build_object('kind', 'answered', 'farmEpoch', (select f.epoch from farm f), 'leaseMs', p_lease_ms,
    'levels', coalesce((select jsonb_agg(jsonb_build_object('attemptId', p ->> 'attemptId', 'level', vf_level(p ->> 'attemptId')))
                        from jsonb_array_elements(p_ask -> 'progress') p), '[]'));
end $$;

-- Outcomes: refused, or answered with a level per attempt. Locks: sessions by id, then artifacts. Index: session_pkey.
create function vf_beat(p_asks jsonb, p_options jsonb) returns jsonb language plpgsql as $$
declare
  v_ask jsonb;
  v_outcomes jsonb[] := '{}';
begin
  for v_ask in select a.value from jsonb_array_elements(p_asks) a order by a.value ->> 'sessionId' loop
    v_outcomes := array_append(v_outcomes, vf_placed(v_ask, vf_beat_one(v_ask, (p_options ->> 'leaseMs')::double precision)));
  end loop;
  return jsonb_build_object('outcomes', to_jsonb(v_outcomes));
end $$;
