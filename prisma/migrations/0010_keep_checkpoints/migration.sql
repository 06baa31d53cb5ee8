-- Where the running attempt of a task got to, so that the next one goes on there.
--
-- A checkpoint belongs to a task, and so to a generation of its key, and lasts as long as the task is open. It was made on a profile, and
-- goes to workers of that profile only. It needs no engine digests of its own: a task's never change, and a runtime refuses others.

-- One row a task, written by beats: every so many seconds for each attempt, so the index by hash is worth more than HOT updates here.
create table task_checkpoint (
  task_id bigint primary key references task on delete cascade on update restrict,
  -- Who made it.
  attempt_id uuid not null,
  -- Steps that are taken.
  step integer not null check (step > 0),
  sha256 text not null references artifact on delete restrict on update restrict,
  profile text not null,
  kept_at timestamptz(6) not null default clock_timestamp()
) with (fillfactor = 50);
create index task_checkpoint_sha256_idx on task_checkpoint (sha256);

-- A task that has ended goes on nowhere; its checkpoint's bytes are collected then.
create function vf_drop_checkpoint() returns trigger language plpgsql as $$
begin
  delete from task_checkpoint where task_id = new.id;
  return null;
end $$;
create trigger task_end after update of state on task for each row
when (old.state <> new.state and new.state in ('succeeded', 'failed', 'cancelled'))
execute function vf_drop_checkpoint();

-- Keeps the checkpoints that a session's beat names: of its running attempts, further than what is kept, or made on another profile than
-- that; and only bytes that were announced and not collected since. p_checkpoints: [{attemptId, step, sha256, sizeBytes}];
-- null: none.
-- The beat has just renewed the attempts and so holds their rows: nobody ends one of them before its checkpoint is there to be dropped.
-- Locks: artifacts by hash, then checkpoints. Indexes: primary keys.
create function vf_keep_checkpoints(p_session text, p_checkpoints jsonb) returns void language plpgsql as $$
begin
  if p_checkpoints is null or p_checkpoints = '[]' then return; end if;
  perform 1 from artifact a where a.sha256 in (select c ->> 'sha256' from jsonb_array_elements(p_checkpoints) c)
  order by a.sha256 for no key update;
  with told as materialized (
    select distinct on (a.task_id) a.task_id, a.id as attempt_id, c.step, c.sha256, w.profile
    from jsonb_to_recordset(p_checkpoints) as c("attemptId" text, step integer, sha256 text, "sizeBytes" bigint)
    join attempt a on a.id = vf_fence(c."attemptId") and a.session_id = p_session and a.state = 'running'
    join worker w on w.id = a.worker_id and w.session_id = p_session
    join artifact f on f.sha256 = c.sha256 and f.size_bytes = c."sizeBytes"
    order by a.task_id, c.step desc),
  kept as (
    insert into task_checkpoint as k (task_id, attempt_id, step, sha256, profile)
    select t.task_id, t.attempt_id, t.step, t.sha256, t.profile from told t order by t.task_id
    on conflict (task_id) do update set attempt_id = excluded.attempt_id, step = excluded.step, sha256 = excluded.sha256,
      profile = excluded.profile, kept_at = clock_timestamp()
    where excluded.step > k.step or excluded.profile <> k.profile
    returning k.sha256)
  update artifact a set is_stored = true, condemned_at = null
  where a.sha256 in (select k.sha256 from kept k) and (not a.is_stored or a.condemned_at is not null);
end $$;

-- One session's beat: renews its lease and the attempts that it names, keeps what it announces from collection, and keeps checkpoints.
create or replace function vf_beat_one(p_ask jsonb, p_lease_ms double precision) returns jsonb language plpgsql as $$
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
  perform vf_keep_checkpoints(v_session.id, p_ask -> 'checkpoints');
  return jsonb_build_object('kind', 'answered', 'farmEpoch', (select f.epoch from farm f), 'leaseMs', p_lease_ms,
    'levels', coalesce((select jsonb_agg(jsonb_build_object('attemptId', p ->> 'attemptId', 'level', vf_level(p ->> 'attemptId')))
                        from jsonb_array_elements(p_ask -> 'progress') p), '[]'));
end $$;

-- How long a task of the shape computes: of the last five, those that were first tries, because a later one may have gone on at a
-- checkpoint and computed less than the whole. Index: attempt_estimate_idx.
create or replace function vf_expected_ms(p_shape text) returns double precision language sql stable as $$
  select coalesce(avg(recent.compute_ms) filter (where recent.number = 1), avg(recent.compute_ms), 0) from (
    select a.compute_ms, a.number from attempt a where a.shape = p_shape and a.state = 'succeeded' order by a.ended_at desc limit 5) recent;
$$;

-- What a worker is told of its attempt. A checkpoint is one more input, where it was made on the worker's profile.
create or replace function vf_claim_view(p_attempt attempt) returns jsonb language sql volatile as $$
  select jsonb_build_object('taskId', t.id, 'attemptId', p_attempt.id, 'attemptNumber', p_attempt.number, 'stage', t.stage,
    'model', t.model, 'engineDigests', t.engine_digests, 'parameters', t.parameters, 'expectedMs', vf_expected_ms(t.shape),
    'inputs', coalesce((
      select jsonb_agg(jsonb_build_object('name', i.name, 'sha256', a.sha256, 'sizeBytes', a.size_bytes) order by i.name)
      from (
        select i.name, coalesce(i.upload_sha256, o.sha256) as sha256
        from task_input i left join task_output o on o.task_id = i.producer_id and o.name = i.producer_output where i.task_id = t.id
        union all
        select 'checkpoint', k.sha256 from task_checkpoint k join worker w on w.id = p_attempt.worker_id and w.profile = k.profile
        where k.task_id = t.id
      ) i join artifact a on a.sha256 = i.sha256), '[]'),
    'jobIds', (select jsonb_agg(distinct r.job_id) from task_user u join render r on r.id = u.render_id
               where u.task_id = t.id and u.is_wanted))
  from task t where t.id = p_attempt.task_id;
$$;

-- Claims the best ready task that the worker can run and nobody holds; null when there is none, or the worker gets nothing. The caller
-- holds the pool's lock. A worker that a task avoids gets it only when no other could. services/domain/explain.ts says the same in
-- words: a rule that is added here is added there.
create or replace function vf_claim(inout fx jsonb, p_session text, p_worker jsonb, out claim jsonb) language plpgsql as $$
declare
  v_worker text := p_worker ->> 'workerId';
  v_task bigint;
  v_attempt attempt;
begin
  perform pg_advisory_xact_lock_shared(vf_steering());
  if not vf_may_claim(p_worker ->> 'pool', v_worker) then return; end if;
  if exists (select 1 from hold h where h.scope = 'tenant') then
    v_task := vf_best_unheld(p_worker);
  else
    v_task := vf_best(p_worker);
  end if;
  if v_task is null then return; end if;
  delete from ready where task_id = v_task;
  -- Not the transaction's time: the same call may have committed an input of this task.
  insert into attempt (task_id, number, shape, session_id, worker_id, worker_name, started_at)
  select t.id, t.attempt_count + 1, t.shape, p_session, v_worker, p_worker ->> 'name', clock_timestamp()
  from task t where t.id = v_task returning * into v_attempt;
  update task set state = 'running', current_attempt = v_attempt.id, attempt_count = v_attempt.number where id = v_task;
  claim := vf_claim_view(v_attempt);
  fx := vf_note(fx, v_task, 'task.started', jsonb_build_object('worker', v_attempt.worker_name, 'message', (
    select format('from its checkpoint of step %s', k.step) from task_checkpoint k
    where k.task_id = v_task and claim -> 'inputs' @> '[{"name": "checkpoint"}]')));
end $$;

-- Drops the task's checkpoint when it is among the bad inputs; true when it was the only one.
create function vf_lose_checkpoint(p_task bigint, p_bad text[]) returns boolean language plpgsql as $$
declare
  v_lost text;
begin
  delete from task_checkpoint where task_id = p_task and sha256 = any (p_bad) returning sha256 into v_lost;
  if v_lost is null then return false; end if;
  update artifact set is_stored = false where sha256 = v_lost;
  return v_lost = all (p_bad);
end $$;

-- Ends a current attempt badly and decides by the policy (services/domain/retry.ts) what becomes of its locked task.
-- p_failure: {code, errorClass, message, badInputs, jitter}; p_policy: {class: {failures, delaysMs, exhaustedCode}}.
-- A checkpoint that is missing or corrupt is nobody's fault: the task starts anew without it, uncharged.
create or replace function vf_fail(fx jsonb, p_attempt attempt, p_failure jsonb, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  v_class text := p_failure ->> 'errorClass';
  v_bad text[] := array(select jsonb_array_elements_text(p_failure -> 'badInputs'));
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
  if v_class = 'artifact' and vf_lose_checkpoint(p_attempt.task_id, v_bad) then
    fx := vf_note(fx, p_attempt.task_id, 'task.retried', jsonb_build_object('worker', p_attempt.worker_name,
      'message', v_code || ': its checkpoint is lost, it starts anew'));
    return vf_requeue(fx, p_attempt.task_id, p_attempt.id, true);
  end if;
  update task set failures = failures || jsonb_build_object(v_class, coalesce((failures ->> v_class)::integer, 0) + 1)
  where id = p_attempt.task_id and current_attempt = p_attempt.id returning * into v_task;
  if not found then return fx; end if;
  v_count := (v_task.failures ->> v_class)::integer;
  v_is_dead := coalesce(v_count >= (v_rule ->> 'failures')::integer, false);
  if v_class = 'artifact' then
    select f.fx, v_is_dead or not f.is_repairable into fx, v_is_dead from vf_reopen_producers(fx, v_task.id, p_attempt, v_bad) f;
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

-- Whether anything may still ask for the artifact's bytes. p_options: {keepIntermediatesMs, longestUploadMs}.
create or replace function vf_is_needed(p_sha256 text, p_options jsonb) returns boolean language sql volatile as $$
  select exists (select 1 from upload u where u.sha256 = p_sha256)
    or exists (select 1 from upload_part p where p.sha256 = p_sha256)
    or exists (select 1 from task_checkpoint k where k.sha256 = p_sha256)
    or exists (select 1 from artifact a where a.sha256 = p_sha256 and not a.is_stored
               and a.announced_at > vf_after(-(p_options ->> 'longestUploadMs')::double precision))
    or exists (select 1 from task_input i join task t on t.id = i.task_id
               where i.upload_sha256 = p_sha256 and t.state in ('blocked', 'ready', 'running', 'delayed'))
    or exists (
      select 1 from task_output o join task p on p.id = o.task_id where o.sha256 = p_sha256 and (
        p.ended_at > vf_after(-(p_options ->> 'keepIntermediatesMs')::double precision)
        or exists (select 1 from task_input i join task t on t.id = i.task_id
                   where i.producer_id = p.id and t.state in ('blocked', 'ready', 'running', 'delayed'))
        or exists (select 1 from task_user u join render r on r.id = u.render_id
                   where u.task_id = p.id and (u.is_wanted or (o.name = any (u.artifacts) and r.state = 'succeeded')))));
$$;
