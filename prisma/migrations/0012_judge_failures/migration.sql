-- What becomes of failures: whom they are charged to, which worker and which engine of it gets no work for a while, how much memory a
-- task turned out to need, and what a dead letter keeps.
--
-- Lock order: as before; rows of quarantine, shape_estimate and worker_health are written under the task's and attempt's locks, or by the
-- duty alone. Two that write them in another order lose a deadlock, and the statement is run again.

alter table attempt
  -- The runtime's last lines of an attempt that failed; null: unknown.
  add column log_tail text check (char_length(log_tail) <= 8192),
  -- Given back by its worker's word alone, while nobody had ordered it.
  add column is_unordered boolean not null default false;
-- The evidence that workers are judged by: few rows; and what each of them ended last.
create index attempt_blamed_idx on attempt (ended_at) where error_class in ('worker', 'engine', 'unexplained') or is_unordered;
create index attempt_worker_ended_idx on attempt (worker_id, ended_at desc) where ended_at is not null;
-- Dead letters, newest first.
create index task_failed_idx on task (ended_at desc, id desc) where state = 'failed';

-- An engine that a worker gets no work of: after failures of its own, until the end; then one task probes it.
create table quarantine (
  worker_id text not null,
  shape text not null,
  failures integer not null check (failures > 0),
  began_at timestamptz(6) not null,
  ends_at timestamptz(6) not null,
  code text not null,
  message text not null,
  -- It holds for this release and profile of the worker.
  software_version text not null,
  profile text not null,
  primary key (worker_id, shape)
);

-- Device memory that tasks of a shape start with, since one of them ran out of less.
create table shape_estimate (
  shape text primary key,
  memory_bytes bigint not null check (memory_bytes > 0),
  told_at timestamptz(6) not null default clock_timestamp()
);

-- How a worker is judged (services/domain/worker-health.ts); no row: healthy, never judged.
create table worker_health (
  worker_id text primary key check (char_length(worker_id) between 1 and 128),
  state text not null check (state in ('healthy', 'suspended', 'probation')),
  reason text not null,
  -- Suspensions that are not forgotten.
  spells integer not null check (spells >= 0),
  -- Of the state; attempts that began before it say nothing any more.
  since timestamptz(6) not null,
  ends_at timestamptz(6),
  -- Grows with each verdict, so that one that was made from an older state changes nothing.
  verdict integer not null,
  software_version text not null,
  profile text not null,
  check ((ends_at is not null) = (state = 'suspended'))
);

-- Tasks of a shape that ran out of memory start with the estimate, for a day; then the next ones try anew.
create function vf_start_memory() returns trigger language plpgsql as $$
begin
  new.memory_bytes := greatest(new.memory_bytes, coalesce((
    select e.memory_bytes from shape_estimate e where e.shape = new.shape and e.told_at > vf_after(-86400000)), 0));
  return new;
end $$;
create trigger task_memory before insert on task for each row execute function vf_start_memory();

-- A success ends the quarantine of what succeeded, and disproves a larger estimate.
create function vf_learn() returns trigger language plpgsql as $$
begin
  delete from quarantine where worker_id = new.worker_id and shape = new.shape;
  delete from shape_estimate e using worker w where e.shape = new.shape and w.id = new.worker_id and w.memory_bytes < e.memory_bytes;
  return null;
end $$;
create trigger attempt_success after update of state on attempt for each row
when (old.state <> new.state and new.state = 'succeeded') execute function vf_learn();

-- Whether somebody had ordered that the attempt be given back is known only while it is current. What was only promised is given back as its
-- worker sees fit: when the slot did not come free in time, or went to another.
create function vf_mark_unordered() returns trigger language plpgsql as $$
begin
  new.is_unordered := vf_level(new.id::text) = 'wanted';
  return new;
end $$;
create trigger attempt_give_back before update of state on attempt for each row
when (old.state = 'running' and new.state = 'abandoned' and new.disposition is not null and old.began_at is not null) execute function vf_mark_unordered();

-- A task that has failed before is no test of a worker that must prove itself: it avoids such a worker where a third could take it.
create function vf_spare_suspects() returns trigger language plpgsql as $$
declare
  v_avoid text[];
begin
  if not exists (select 1 from worker_health h where h.state <> 'healthy')
    or not exists (select 1 from task t where t.id = new.task_id and t.failures <> '{}') then
    return new;
  end if;
  v_avoid := array(select unnest(new.avoid) union
    select h.worker_id from worker_health h join worker w on w.id = h.worker_id where h.state <> 'healthy' and w.pool = new.pool);
  if vf_has_other(new.pool, new.shape, v_avoid, new.memory_bytes) then new.avoid := v_avoid; end if;
  return new;
end $$;
create trigger ready_spare before insert on ready for each row execute function vf_spare_suspects();

-- Whether a worker of the pool gets anything at all: neither it nor its pool is held or cordoned; it is not suspended; on probation it gets
-- one task at a time; and one whose engine has failed in this very call asks anew first, without that engine.
-- Indexes: hold_pkey, cordon_pkey, worker_health_pkey, quarantine_pkey, attempt_session_running_idx.
create or replace function vf_may_claim(p_pool text, p_worker text) returns boolean language plpgsql as $$
begin
  return not exists (select 1 from hold h where h.scope = 'farm' and h.name = '')
    and not exists (select 1 from hold h where h.scope = 'pool' and h.name = p_pool)
    and not exists (select 1 from cordon c where c.worker_id = p_worker)
    and not exists (select 1 from quarantine q where q.worker_id = p_worker and q.began_at >= now())
    and not exists (
      select 1 from worker_health h where h.worker_id = p_worker and h.state <> 'healthy' and (h.ends_at > clock_timestamp() or exists (
        select 1 from worker w join attempt a on a.session_id = w.session_id and a.state = 'running' where w.id = p_worker)));
end $$;

-- The ask without shapes that are in quarantine on its worker: what it claims and what is stored of it go by the rest.
create function vf_without_quarantined(p_ask jsonb) returns jsonb language plpgsql as $$
declare
  v_worker jsonb := p_ask -> 'worker';
  v_shut text[] := array(select q.shape from quarantine q where q.worker_id = v_worker ->> 'workerId' and q.ends_at > clock_timestamp()
    and q.software_version = v_worker ->> 'softwareVersion' and q.profile = v_worker ->> 'profile');
begin
  if cardinality(v_shut) = 0 then return p_ask; end if;
  return jsonb_set(p_ask, '{worker,shapes}', coalesce((
    select jsonb_agg(s.name) from jsonb_array_elements_text(v_worker -> 'shapes') s(name) where s.name <> all (v_shut)), '[]'));
end $$;

-- The asks of a call that may go on, in order of session, and the outcomes of the others. Locks the sessions.
create or replace function vf_admit_all(p_asks jsonb, p_kind text, p_options jsonb, out admitted jsonb[], out outcomes jsonb[])
language plpgsql as $$
declare
  v_ask jsonb;
  v_outcome jsonb;
begin
  admitted := '{}';
  outcomes := '{}';
  for v_ask in select a.value from jsonb_array_elements(p_asks) a order by a.value ->> 'sessionId' loop
    v_outcome := vf_admit(v_ask, p_kind, p_options);
    if v_outcome is null then
      admitted := array_append(admitted, case p_kind when 'next' then vf_without_quarantined(v_ask) else v_ask end);
    else
      outcomes := array_append(outcomes, vf_placed(v_ask, v_outcome));
    end if;
  end loop;
end $$;

-- How often workers that went on afterwards gave the task back by their word alone. Index: attempt_task_id_number_key.
create function vf_unordered(p_task bigint) returns integer language sql volatile as $$
  select count(*)::integer from attempt a join session s on s.id = a.session_id
  where a.task_id = p_task and a.is_unordered and s.end_reason is distinct from 'stopped';
$$;

-- Moves a locked task to where it belongs without an attempt: cancelled without users, blocked without inputs, else ready.
-- p_attempt: its current attempt, which has ended; null when nobody runs it. Nothing happens when another is current.
-- p_recount: its inputs may have been lost since they were counted (locks the producers FOR SHARE).
-- One that workers give back again and again though nobody orders it waits longer each time: that costs it nothing, but no loop spins.
create or replace function vf_requeue(fx jsonb, p_task bigint, p_attempt uuid, p_recount boolean) returns jsonb language plpgsql as $$
declare
  v_missing integer := 0;
  v_unordered integer := 0;
  v_until timestamptz(6);
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
  if v_missing = 0 and exists (select 1 from attempt a where a.id = p_attempt and a.is_unordered) then
    v_unordered := vf_unordered(p_task);
    v_until := case when v_unordered > 1 then vf_after(least(60000, 500 * 2 ^ least(v_unordered - 1, 7))) end;
  end if;
  update task set state = case when v_missing > 0 then 'blocked' when v_until is not null then 'delayed' else 'ready' end,
    inputs_missing = v_missing, current_attempt = null, delayed_until = v_until, ended_at = null
  where id = p_task and current_attempt is not distinct from p_attempt;
  if not found or v_missing > 0 or v_until is not null then
    return fx;
  end if;
  perform vf_rank(p_task);
  return vf_add(fx, 'ready', to_jsonb(p_task));
end $$;

-- The class that a failure counts as. A cause outside of the worker must have been seen from outside: the worker may not excuse itself.
-- What it calls an outage was one if the farm's own canary was silent in the attempt's time (it beats each second).
create function vf_class_of(p_attempt attempt, p_failure jsonb) returns text language sql volatile as $$
  select case when p_failure ->> 'errorClass' <> 'infrastructure' or exists (
      select 1 from canary c where c.unbroken_since > p_attempt.started_at or c.last_at < clock_timestamp() - interval '5 seconds')
    then p_failure ->> 'errorClass' else 'worker' end;
$$;

-- Shuts an engine on the worker that failed with it; each time that it fails again after an end, for longer. p_rule: {quarantineMs: [..]}.
create function vf_quarantine(p_attempt attempt, p_failure jsonb, p_rule jsonb) returns void language plpgsql as $$
declare
  v_worker worker;
  v_failures integer;
begin
  select w.* into v_worker from worker w where w.id = p_attempt.worker_id;
  if not found or coalesce(jsonb_array_length(p_rule -> 'quarantineMs'), 0) = 0 then return; end if;
  select case when (q.software_version, q.profile) is distinct from (v_worker.software_version, v_worker.profile) then 1
    when q.ends_at > clock_timestamp() then q.failures else q.failures + 1 end into v_failures
  from quarantine q where q.worker_id = v_worker.id and q.shape = p_attempt.shape for update;
  v_failures := coalesce(v_failures, 1);
  insert into quarantine (worker_id, shape, failures, began_at, ends_at, code, message, software_version, profile)
  values (v_worker.id, p_attempt.shape, v_failures, clock_timestamp(), vf_after(
    (p_rule -> 'quarantineMs' ->> least(v_failures, jsonb_array_length(p_rule -> 'quarantineMs')) - 1)::double precision),
    p_failure ->> 'code', p_failure ->> 'message', v_worker.software_version, v_worker.profile)
  on conflict (worker_id, shape) do update set failures = excluded.failures, began_at = excluded.began_at, ends_at = excluded.ends_at,
    code = excluded.code, message = excluded.message, software_version = excluded.software_version, profile = excluded.profile;
end $$;

-- After a task ran out of memory: it needs more than that worker has, and so do those of its shape that come after it. Null; or why it
-- cannot go on, when no worker of the pool that is known has more, or may have: 0 is memory that is not known. Locks: the task is locked.
create function vf_raise_memory(p_task task, p_attempt attempt) returns text language plpgsql as $$
declare
  v_had bigint := (select w.memory_bytes from worker w where w.id = p_attempt.worker_id);
begin
  if coalesce(v_had, 0) = 0 then return null; end if;
  if not exists (select 1 from worker w where w.pool = p_task.pool and (w.memory_bytes > v_had or w.memory_bytes = 0)) then
    return format('it ran out of memory on %s, which has %s bytes; no worker of pool %s that is known has more than %s',
      p_attempt.worker_name, v_had, p_task.pool, v_had);
  end if;
  update task set memory_bytes = greatest(memory_bytes, v_had + 1) where id = p_task.id;
  insert into shape_estimate as e (shape, memory_bytes) values (p_task.shape, v_had + 1)
  on conflict (shape) do update set memory_bytes = greatest(e.memory_bytes, excluded.memory_bytes), told_at = clock_timestamp();
  return null;
end $$;

-- Whether a lost attempt speaks against nobody: its worker had the task only promised, and was lost with another. So often and no more,
-- because the word of a begin may be lost with the worker too. p_rule: {spared}. Index: attempt_task_id_number_key.
create function vf_is_spared(p_attempt attempt, p_rule jsonb) returns boolean language plpgsql as $$
begin
  if p_attempt.began_at is not null then return false; end if;
  return coalesce((p_rule ->> 'spared')::integer, 0) > (
    select count(*) from attempt a where a.task_id = p_attempt.task_id and a.state = 'lost' and a.began_at is null);
end $$;

-- Ends an attempt with what it said of its failure.
create function vf_close_attempt(p_attempt attempt, p_failure jsonb, p_class text) returns void language sql volatile as $$
  update attempt set state = case when p_failure ? 'lost' then 'lost' else 'failed' end, ended_at = clock_timestamp(),
    error_code = p_failure ->> 'code', error_class = p_class, error_message = p_failure ->> 'message',
    log_tail = nullif(p_failure ->> 'logTail', '')
  where id = p_attempt.id;
$$;

-- Ends a locked task whose budget is used up, or that nothing can help: a dead letter.
create function vf_bury(fx jsonb, p_attempt attempt, p_code text, p_message text) returns jsonb language plpgsql as $$
begin
  update task set state = 'failed', current_attempt = null, failure_code = p_code, failure_message = p_message,
    ended_at = clock_timestamp()
  where id = p_attempt.task_id and current_attempt = p_attempt.id;
  return vf_note(fx, p_attempt.task_id, 'task.failed',
    jsonb_build_object('worker', p_attempt.worker_name, 'message', p_message, 'code', p_code));
end $$;

-- Ends a current attempt badly and decides by the policy (services/domain/retry.ts) what becomes of its locked task.
-- p_failure: {code, errorClass, message, badInputs, jitter, logTail}; p_policy: {class: {failures, delaysMs, exhaustedCode, quarantineMs, spared}}.
-- A checkpoint that is missing or corrupt is nobody's fault: the task starts anew without it, uncharged.
create or replace function vf_fail(fx jsonb, p_attempt attempt, p_failure jsonb, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  v_class text := vf_class_of(p_attempt, p_failure);
  v_bad text[] := array(select jsonb_array_elements_text(p_failure -> 'badInputs'));
  v_rule jsonb := p_policy -> v_class;
  v_task task;
  v_count integer;
  v_is_dead boolean;
  v_code text := p_failure ->> 'code';
  v_message text := p_failure ->> 'message';
  v_short text;
  v_delay_ms double precision;
  v_is_spared boolean;
begin
  v_is_spared := p_failure ? 'lost' and vf_is_spared(p_attempt, v_rule);
  perform vf_close_attempt(p_attempt, p_failure, case when not v_is_spared then v_class end);
  if v_class = 'engine' then perform vf_quarantine(p_attempt, p_failure, v_rule); end if;
  if not vf_is_wanted(p_attempt.task_id) then
    return vf_requeue(fx, p_attempt.task_id, p_attempt.id, false);
  end if;
  if v_is_spared then
    fx := vf_note(fx, p_attempt.task_id, 'task.retried', jsonb_build_object('worker', p_attempt.worker_name,
      'message', v_code || ': it had not begun there'));
    return vf_requeue(fx, p_attempt.task_id, p_attempt.id, true);
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
  if v_class = 'capacity' then
    v_short := vf_raise_memory(v_task, p_attempt);
    v_message := coalesce(v_short, v_message);
  end if;
  if v_is_dead or v_short is not null then
    if v_is_dead and v_rule ? 'exhaustedCode' then
      v_message := format('%s times without a known cause, last: %s: %s', v_count, v_code, v_message);
      v_code := v_rule ->> 'exhaustedCode';
    end if;
    return vf_bury(fx, p_attempt, v_code, v_message);
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

-- What workers are judged from: each pool's live workers that are not cordoned, and those workers that a verdict could change, with what
-- they ended last since they are in their state. p_rules: {windowMs, mostAttempts, blamed: [class]}.
-- Indexes: attempt_blamed_idx, attempt_worker_ended_idx, attempt_task_id_number_key.
create function vf_health_facts(p_rules jsonb) returns jsonb language sql volatile as $$
  with served as materialized (
    select w.id, w.name, w.pool, w.software_version, w.profile,
      coalesce(s.is_live and s.lease_until > clock_timestamp(), false) and not exists (select 1 from cordon c where c.worker_id = w.id) as is_live
    from worker w left join session s on s.id = w.session_id),
  rules as (
    select vf_after(-(p_rules ->> 'windowMs')::double precision) as since, (p_rules ->> 'mostAttempts')::integer as most,
      array(select jsonb_array_elements_text(p_rules -> 'blamed')) as blamed),
  suspects as (
    select h.worker_id from worker_health h where h.state <> 'healthy' or h.spells > 0
    union
    select a.worker_id from attempt a, rules r
    where (a.error_class in ('worker', 'engine', 'unexplained') or a.is_unordered) and a.ended_at > r.since)
  select jsonb_build_object(
    'live', coalesce((select jsonb_object_agg(g.pool, g.count) from (
      select v.pool, count(*) from served v where v.is_live group by v.pool) g), '{}'),
    'workers', coalesce((select jsonb_agg(jsonb_build_object('workerId', v.id, 'name', v.name, 'pool', v.pool, 'isLive', v.is_live,
      'state', coalesce(h.state, 'healthy'), 'spells', coalesce(h.spells, 0), 'verdict', coalesce(h.verdict, 0),
      'isRenewed', h.worker_id is not null and (h.software_version, h.profile) is distinct from (v.software_version, v.profile),
      'elapsedMs', coalesce(extract(epoch from clock_timestamp() - h.since) * 1000, 0),
      'leftMs', coalesce(extract(epoch from h.ends_at - clock_timestamp()) * 1000, 0),
      'ended', coalesce((
        select jsonb_agg(jsonb_build_object('taskId', e.task_id, 'tenant', e.tenant_id, 'isSuccess', e.state = 'succeeded',
          'isBlamed', coalesce(e.error_class = any (r.blamed), false) or (e.is_unordered and not e.has_left),
          'succeededElsewhere', exists (select 1 from attempt o where o.task_id = e.task_id and o.worker_id <> v.id and o.state = 'succeeded'),
          'failedElsewhere', exists (select 1 from attempt o where o.task_id = e.task_id and o.worker_id <> v.id and o.error_class = any (r.blamed))))
        from (
          select a.task_id, t.tenant_id, a.state, a.error_class, a.is_unordered, coalesce(s.end_reason = 'stopped', false) as has_left
          from attempt a join task t on t.id = a.task_id left join session s on s.id = a.session_id
          where a.worker_id = v.id and a.ended_at > r.since and a.started_at >= coalesce(h.since, '-infinity') and a.began_at is not null
          order by a.ended_at desc limit r.most) e), '[]')) order by v.id)
      from rules r, suspects u join served v on v.id = u.worker_id left join worker_health h on h.worker_id = v.id), '[]'));
$$;

-- Applies verdicts that were made from the states that are still there; null when the duty is lost.
-- p_verdicts: [{workerId, verdict (of the state judged), state, forMs (of a suspension), spells, reason}].
-- Returns {changed: [worker], aftermaths}: what those can start that get work again. Locks: steering.
create function vf_judge_workers(p_epoch bigint, p_verdicts jsonb) returns jsonb language plpgsql as $$
declare
  v_verdict record;
  v_worker worker;
  v_changed text[] := '{}';
  v_aftermaths jsonb := '[]';
begin
  if not vf_holds_duty('health', p_epoch) then return null; end if;
  delete from worker_health h where not exists (select 1 from worker w where w.id = h.worker_id);
  delete from quarantine q where not exists (select 1 from worker w where w.id = q.worker_id
    and (w.software_version, w.profile) is not distinct from (q.software_version, q.profile));
  if p_verdicts <> '[]' then perform pg_advisory_xact_lock(vf_steering()); end if;
  for v_verdict in
    select v.* from jsonb_to_recordset(p_verdicts) as v("workerId" text, verdict integer, state text, "forMs" double precision,
      spells integer, reason text) order by v."workerId"
  loop
    select w.* into v_worker from worker w where w.id = v_verdict."workerId";
    continue when not found;
    insert into worker_health as h (worker_id, state, reason, spells, since, ends_at, verdict, software_version, profile)
    values (v_worker.id, v_verdict.state, v_verdict.reason, v_verdict.spells, clock_timestamp(), vf_after(v_verdict."forMs"),
      v_verdict.verdict + 1, v_worker.software_version, v_worker.profile)
    on conflict (worker_id) do update set state = excluded.state, reason = excluded.reason, spells = excluded.spells,
      since = excluded.since, ends_at = excluded.ends_at, verdict = excluded.verdict, software_version = excluded.software_version,
      profile = excluded.profile
    where h.verdict = excluded.verdict - 1;
    continue when not found;
    v_changed := array_append(v_changed, v_worker.id);
    if v_verdict.state <> 'suspended' then
      v_aftermaths := v_aftermaths || jsonb_build_array(vf_startable(v_worker.pool, null, v_worker.shapes));
    end if;
  end loop;
  return jsonb_build_object('changed', to_jsonb(v_changed), 'aftermaths', v_aftermaths);
end $$;

-- Gives a worker work again, whatever was held against it; its quarantines end, and what it ended so far is forgotten. Idempotent. As of
-- vf_cordon: {"pushes", "aftermath"}, null when there is no such worker. Its shapes come back with its next ask.
create function vf_clear_worker(p_worker text, p_by text) returns jsonb language plpgsql as $$
declare
  v_worker worker;
begin
  select w.* into v_worker from worker w where w.id = p_worker;
  if not found then return null; end if;
  delete from quarantine where worker_id = p_worker;
  insert into worker_health as h (worker_id, state, reason, spells, since, verdict, software_version, profile)
  values (p_worker, 'healthy', 'cleared by ' || p_by, 0, clock_timestamp(), 1, v_worker.software_version, v_worker.profile)
  on conflict (worker_id) do update set state = excluded.state, reason = excluded.reason, spells = 0, since = excluded.since, ends_at = null,
    verdict = h.verdict + 1, software_version = excluded.software_version, profile = excluded.profile;
  return jsonb_build_object('pushes', '[]'::jsonb, 'aftermath', vf_startable(v_worker.pool, null, v_worker.shapes));
end $$;

-- Opens anew the failed renders that use a dead letter, of every job of the tenant (null: anyone's), at most p_limits.most in one call, each as
-- vf_retry does. Null when there is no such task, or no render of the tenant ever used it. Outcomes: nothing; pool_gone (its pool is none
-- of p_pools); invalid (as of vf_retry); retried (how many, how many are left). Locks: as vf_retry, render by render; a deadlock that is
-- lost is run again.
create function vf_retry_task(p_tenant text, p_task bigint, p_limits jsonb, p_pools text[]) returns jsonb language plpgsql as $$
declare
  v_pool text := (select t.pool from task t where t.id = p_task and t.pool <> all (p_pools));
  v_render record;
  v_outcome jsonb;
  v_retried integer := 0;
  v_aftermaths jsonb := '[]';
  v_jobs text[] := '{}';
begin
  perform 1 from (
    select u.render_id from task_user u where u.task_id = p_task union all select f.render_id from former_use f where f.task_id = p_task) u
  join render r on r.id = u.render_id join job j on j.id = r.job_id where p_tenant is null or j.tenant_id = p_tenant limit 1;
  if not found then return null; end if;
  if v_pool is not null then return jsonb_build_object('kind', 'pool_gone', 'pool', v_pool); end if;
  for v_render in
    select r.job_id, r.position from task_user u join task t on t.id = u.task_id join render r on r.id = u.render_id join job j on j.id = r.job_id
    where u.task_id = p_task and t.state = 'failed' and r.state = 'failed' and (p_tenant is null or j.tenant_id = p_tenant)
    order by r.job_id, r.position limit (p_limits ->> 'most')::integer
  loop
    v_outcome := vf_retry(p_tenant, v_render.job_id, v_render.position, p_limits);
    continue when v_outcome is null or v_outcome ->> 'kind' = 'nothing';
    exit when v_outcome ->> 'kind' = 'invalid' and v_retried > 0;
    if v_outcome ->> 'kind' = 'invalid' then return v_outcome; end if;
    v_retried := v_retried + 1;
    v_jobs := array_append(v_jobs, v_render.job_id);
    v_aftermaths := v_aftermaths || jsonb_build_array(v_outcome -> 'aftermath');
  end loop;
  if v_retried = 0 then return '{"kind": "nothing"}'; end if;
  return jsonb_build_object('kind', 'retried', 'renders', v_retried, 'aftermaths', v_aftermaths,
    'jobIds', (select to_jsonb(array_agg(distinct j)) from unnest(v_jobs) j), 'left', (
      select count(*) from task_user u join render r on r.id = u.render_id join job j on j.id = r.job_id
      where u.task_id = p_task and r.state = 'failed' and (p_tenant is null or j.tenant_id = p_tenant)));
end $$;
