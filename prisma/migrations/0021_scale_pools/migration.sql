-- Scaling: what the decision about a pool's workers is made from, what was decided last, and what the cluster takes from workers.
--
-- Order of locks: the duty's row, then steering (alone, where a cordon is placed), then tasks by id. Rows of disruption and pool_scale are
-- written under their duty's row.

alter table worker
  -- From its agent's start until it could work; null: not told.
  add column startup_ms double precision check (startup_ms >= 0),
  -- The pod that it runs in, once the cluster's and its own name were seen to be the same.
  add column pod text;

alter table cordon
  -- Who set it aside: a person, or the farm because the pool shrinks or the cluster takes the worker away.
  add column origin text not null default 'operator' check (origin in ('operator', 'scaling', 'disruption')),
  -- What a person's cordon was before the cluster took the worker: is_drained; null: it does not.
  add column was_drained boolean;

-- What the cluster does to a worker (services/domain/disruption.ts), by its session: what another life of the worker loses is another matter.
create table disruption (
  session_id text primary key,
  worker_id text not null,
  cause text not null,
  message text not null,
  -- What is lost costs no retry; false: the worker's own doing, whatever is seen later.
  is_excuse boolean not null,
  seen_at timestamptz(6) not null default clock_timestamp()
);

-- What was decided last of each pool that is scaled: the same for every coordinator and for whoever looks.
create table pool_scale (
  pool text primary key,
  desired integer not null check (desired >= 0),
  -- What the cluster is asked for, and of those the workers that serve and those that start.
  asked integer not null,
  serving integer not null,
  starting integer not null,
  backlog_ms double precision not null,
  load_ms double precision not null,
  reason text not null,
  -- ScaleMemory of services/domain/scaling.ts.
  memory jsonb not null,
  decided_at timestamptz(6) not null default clock_timestamp()
);

-- Tasks that are admitted and cannot be given to a worker yet, counted by tenant and shape.
create index task_later_idx on task (pool, tenant_id, shape) where state in ('blocked', 'delayed');

-- What is read ------------------------------------------------------------------------------------------------------

-- Ready tasks of a pool by tenant, shape and memory, lane by lane until p_most are counted. Index: ready_lane_idx.
create function vf_ready_groups(p_pool text, p_shut text[], p_most integer)
returns table (tenant_id text, shape text, memory_class integer, tasks integer, is_more boolean) language plpgsql stable as $$
declare
  v_lane lane;
  v_left integer := p_most;
begin
  for v_lane in select l.* from lane l where l.pool = p_pool and l.tenant_id <> all (p_shut) loop
    select count(*) into tasks from (
      select 1 from ready q where q.pool = p_pool and q.shape = v_lane.shape and q.memory_class = v_lane.memory_class
        and q.class_rank = v_lane.class_rank and q.priority = v_lane.priority and q.tenant_id = v_lane.tenant_id limit v_left) counted;
    continue when tasks = 0;
    v_left := v_left - tasks;
    tenant_id := v_lane.tenant_id;
    shape := v_lane.shape;
    memory_class := v_lane.memory_class;
    is_more := v_left <= 0;
    return next;
    exit when is_more;
  end loop;
end $$;

-- Whether a worker could run tasks of a shape: one of those that live, or of those that are known where none does; anybody may where nobody
-- is known. What is in quarantine counts as held.
create function vf_could_serve(p_pool text, p_shape text, p_memory_class integer) returns boolean language plpgsql stable as $$
begin
  return (
    with fleet as materialized (
      select w.memory_bytes, s.is_live,
        p_shape = any (w.shapes) or exists (select 1 from quarantine q where q.worker_id = w.id and q.shape = p_shape) as holds
      from worker w join session s on s.id = w.session_id where w.pool = p_pool)
    select count(*) = 0 or coalesce(bool_or(f.holds and vf_worker_class(f.memory_bytes) >= p_memory_class)
      filter (where f.is_live = (select bool_or(g.is_live) from fleet g)), false)
    from fleet f);
end $$;

-- PoolWork of services/domain/scaling.ts: what is admitted to a pool and may start, with its expected device time; p_unknown_ms where that is
-- not known. What is held, stopped or of a tenant that may run nothing is left out, but for what runs. A render that waits costs what those
-- that are open cost. At most p_most ready and as many later tasks are looked at.
-- Indexes: ready_lane_idx, task_later_idx, waiting_pool_idx, render_open_idx, attempt_session_running_idx, attempt_estimate_idx.
create function vf_pool_work(p_pool text, p_most integer, p_unknown_ms double precision) returns jsonb language plpgsql stable as $$
declare
  v_is_held constant boolean := exists (
    select 1 from hold h where h.scope = 'farm' or (h.scope = 'pool' and h.name = p_pool));
  v_shut constant text[] := vf_shut_tenants();
  v_has_stops constant boolean := exists (select 1 from job_stop);
begin
  return (
    with now_ready as materialized (
      select g.*, vf_could_serve(p_pool, g.shape, g.memory_class) as can from vf_ready_groups(p_pool, v_shut, p_most) g where not v_is_held),
    later as materialized (
      select c.tenant_id, c.shape, count(*)::integer as tasks from (
        select t.id, t.tenant_id, t.shape from task t
        where not v_is_held and t.pool = p_pool and t.state in ('blocked', 'delayed') and t.tenant_id <> all (v_shut) limit p_most) c
      where not v_has_stops or vf_job_may_start(c.id)
      group by c.tenant_id, c.shape),
    running as materialized (
      select t.tenant_id, t.shape, a.device_ms from session s join attempt a on a.session_id = s.id and a.state = 'running'
      join task t on t.id = a.task_id where s.is_live and s.pool = p_pool),
    waits as materialized (
      select w.tenant_id, sum(w.renders)::integer as renders from waiting w
      where not v_is_held and w.pool = p_pool and w.tenant_id <> all (v_shut)
        and not exists (select 1 from job_stop s where s.job_id = w.job_id) group by w.tenant_id),
    sample as materialized (
      select u.render_id, t.shape from (
        select r.id from render r where r.pool = p_pool and r.state in ('queued', 'running') and not r.is_waiting
          and exists (select 1 from waits) limit 20) r
      join task_user u on u.render_id = r.id join task t on t.id = u.task_id and t.pool = p_pool),
    shape as materialized (
      select s.shape, coalesce(nullif(vf_expected_ms(s.shape), 0), p_unknown_ms) as ms from (
        select r.shape from now_ready r union select l.shape from later l union select r.shape from running r union select x.shape from sample x) s),
    render as (
      select coalesce(avg(r.ms), p_unknown_ms) as ms from (
        select sum(s.ms) as ms from sample x join shape s on s.shape = x.shape group by x.render_id) r),
    part as (
      select r.tenant_id, r.tasks as ready, 0 as running, 0 as renders, r.tasks * s.ms as ms from now_ready r join shape s on s.shape = r.shape where r.can
      union all select l.tenant_id, 0, 0, 0, l.tasks * s.ms from later l join shape s on s.shape = l.shape
      union all select r.tenant_id, 0, 1, 0, greatest(0, s.ms - r.device_ms) from running r join shape s on s.shape = r.shape
      union all select w.tenant_id, 0, 0, w.renders, w.renders * r.ms from waits w cross join render r),
    tenant as (
      select p.tenant_id, sum(p.ready) as ready, sum(p.running) as running, sum(p.renders) as renders, sum(p.ms) as ms from part p group by p.tenant_id)
    select jsonb_build_object(
      'isMore', coalesce((select bool_or(r.is_more and r.can) from now_ready r), false),
      'unrunnable', coalesce((select sum(r.tasks) from now_ready r where not r.can), 0),
      'tenants', coalesce(jsonb_agg(jsonb_build_object('ready', t.ready, 'running', t.running, 'waitingRenders', t.renders, 'workMs', t.ms,
        'maxRunning', case when m.max_running is not null then greatest(m.max_running, t.running) end) order by t.tenant_id), '[]'))
    from tenant t left join tenant_limit m on m.tenant_id = t.tenant_id);
end $$;

-- The workers of a pool whose sessions have not ended: who set them aside, and what each attempt would lose and has left. One whose lease
-- ran out may run all the same: nobody has heard it, or could have.
create function vf_pool_fleet(p_pool text, p_unknown_ms double precision) returns jsonb language plpgsql stable as $$
begin
  return coalesce((
    select jsonb_agg(jsonb_build_object('workerId', w.id, 'name', w.name, 'isSilent', s.lease_until < clock_timestamp(),
      'cordon', case when c.origin is null then 'none' when c.origin = 'operator' and c.is_drained then 'drained' else c.origin end,
      'attempts', coalesce((
        select jsonb_agg(jsonb_build_object(
          'lossMs', coalesce(least(a.device_ms, extract(epoch from clock_timestamp() - k.kept_at) * 1000), a.device_ms),
          'leftMs', greatest(0, coalesce(nullif(vf_expected_ms(a.shape), 0), p_unknown_ms) - a.device_ms)))
        from attempt a left join task_checkpoint k on k.task_id = a.task_id and k.attempt_id = a.id
        where a.session_id = s.id and a.state = 'running'), '[]')) order by w.name)
    from worker w join session s on s.id = w.session_id left join cordon c on c.worker_id = w.id
    where w.pool = p_pool and s.is_live), '[]');
end $$;

-- What is decided from, pool by pool: [{pool, work, workers, startupsMs, memory, isHeard}]. startupsMs: of those that were new last; isHeard:
-- beats arrive, as the farm's own canary does each second.
create function vf_scaling_facts(p_pools text[], p_most integer, p_unknown_ms double precision) returns jsonb language sql stable as $$
  select coalesce(jsonb_agg(jsonb_build_object('pool', p.name, 'work', vf_pool_work(p.name, p_most, p_unknown_ms),
    'workers', vf_pool_fleet(p.name, p_unknown_ms),
    'startupsMs', array(
      select w.startup_ms from worker w where w.pool = p.name and w.startup_ms is not null order by w.first_seen_at desc limit 20),
    'memory', (select s.memory from pool_scale s where s.pool = p.name),
    'isHeard', not exists (select 1 from canary c where c.last_at < clock_timestamp() - interval '5 seconds'),
    'nowMs', extract(epoch from clock_timestamp()) * 1000)), '[]')
  from unnest(p_pools) p(name);
$$;

-- What is done -------------------------------------------------------------------------------------------------------

-- Keeps a decision, sets workers aside and gives others work again. p_change: {pool, desired, asked, serving, starting, backlogMs, loadMs, reason,
-- memory, cordon: [worker], uncordon: [worker]}. Returns the aftermath; null when the duty is lost. A person's cordon stays as it is. The
-- farm's own cordons of workers that are gone go too.
create function vf_apply_scale(p_epoch bigint, p_change jsonb) returns jsonb language plpgsql as $$
declare
  v_result jsonb := '{"ready": [], "pushes": [], "touchedJobIds": []}';
  v_worker worker;
begin
  if not vf_holds_duty('scaling', p_epoch) then return null; end if;
  insert into pool_scale as s (pool, desired, asked, serving, starting, backlog_ms, load_ms, reason, memory)
  select c.pool, c.desired, c.asked, c.serving, c.starting, c."backlogMs", c."loadMs", c.reason, c.memory
  from jsonb_to_record(p_change) as c(pool text, desired integer, asked integer, serving integer, starting integer, "backlogMs" double precision,
    "loadMs" double precision, reason text, memory jsonb)
  on conflict (pool) do update set desired = excluded.desired, asked = excluded.asked, serving = excluded.serving, starting = excluded.starting,
    backlog_ms = excluded.backlog_ms, load_ms = excluded.load_ms, reason = excluded.reason, memory = excluded.memory, decided_at = clock_timestamp();
  if p_change -> 'cordon' <> '[]' then
    perform pg_advisory_xact_lock(vf_steering());
    insert into cordon (worker_id, reason, placed_by, is_drained, origin)
    select w.id, 'the pool needs fewer workers', 'scaling', false, 'scaling' from worker w
    where w.pool = p_change ->> 'pool' and w.id in (select jsonb_array_elements_text(p_change -> 'cordon')) order by w.id
    on conflict do nothing;
  end if;
  for v_worker in
    select w.* from worker w where w.id in (select jsonb_array_elements_text(p_change -> 'uncordon')) order by w.id
  loop
    delete from cordon where worker_id = v_worker.id and origin = 'scaling';
    if found then v_result := vf_both(v_result, vf_startable(v_worker.pool, null, v_worker.shapes)); end if;
  end loop;
  delete from cordon c using worker w, session s
  where w.id = c.worker_id and s.id = w.session_id and not s.is_live and c.origin <> 'operator' and w.pool = p_change ->> 'pool';
  return v_result;
end $$;

-- An operator's word is the last: what the farm had set aside is theirs then.
create or replace function vf_cordon(p_worker text, p_by text, p_reason text, p_is_drained boolean, p_grace_ms double precision) returns jsonb
language plpgsql as $$
begin
  perform 1 from worker w where w.id = p_worker;
  if not found then return null; end if;
  perform pg_advisory_xact_lock(vf_steering());
  insert into cordon as c (worker_id, reason, placed_by, is_drained, drain_at)
  values (p_worker, p_reason, p_by, p_is_drained, vf_after(p_grace_ms))
  on conflict (worker_id) do update set reason = excluded.reason, is_drained = excluded.is_drained, drain_at = excluded.drain_at,
    was_drained = null, placed_by = case c.origin when 'operator' then c.placed_by else excluded.placed_by end,
    placed_at = case c.origin when 'operator' then c.placed_at else excluded.placed_at end, origin = 'operator';
  return jsonb_build_object('aftermath', vf_no_effects() - 'jobs' - 'events' || '{"touchedJobIds": []}', 'pushes', coalesce((
    select jsonb_agg(jsonb_build_object('workerId', a.worker_id, 'attemptId', a.id, 'level', 'drain') order by a.task_id)
    from worker w join attempt a on a.session_id = w.session_id and a.state = 'running'
    where w.id = p_worker and vf_level(a.id::text) = 'drain'), '[]'));
end $$;

-- Disruptions --------------------------------------------------------------------------------------------------------

-- What a lost attempt counts as: without cost where the cluster took its worker. Where its node had too little of something, which may be its
-- own hunger, three times.
create function vf_lost_as(p_attempt attempt, p_failure jsonb) returns jsonb language plpgsql as $$
declare
  v_cause disruption;
begin
  select d.* into v_cause from disruption d where d.session_id = p_attempt.session_id and d.is_excuse;
  if not found or (v_cause.cause = 'pressure' and 3 <= (
    select count(*) from attempt a where a.task_id = p_attempt.task_id and a.error_code = 'WORKER_DISRUPTED')) then
    return p_failure;
  end if;
  return p_failure || jsonb_build_object('code', 'WORKER_DISRUPTED', 'errorClass', 'infrastructure', 'message', v_cause.message);
end $$;

create or replace function vf_free_attempt(fx jsonb, p_attempt uuid, p_failure jsonb, p_policy jsonb) returns jsonb language plpgsql as $$
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
    return vf_fail(fx, v_attempt, vf_lost_as(v_attempt, p_failure) || '{"lost": true}', p_policy);
  end if;
  update attempt set state = 'abandoned', ended_at = clock_timestamp(), error_message = 'given back' where id = p_attempt;
  return vf_requeue(fx, v_attempt.task_id, p_attempt, true);
end $$;

-- The class that a failure counts as. A cause outside of the worker must have been seen from outside: the worker may not excuse itself. The
-- cluster's word is one; what a worker calls an outage was one if the farm's own canary was silent in the attempt's time (it beats each second).
create or replace function vf_class_of(p_attempt attempt, p_failure jsonb) returns text language sql volatile as $$
  select case when p_failure ->> 'errorClass' <> 'infrastructure'
      or (p_failure ? 'lost' and exists (select 1 from disruption d where d.session_id = p_attempt.session_id and d.is_excuse))
      or exists (select 1 from canary c where c.unbroken_since > p_attempt.started_at or c.last_at < clock_timestamp() - interval '5 seconds')
    then p_failure ->> 'errorClass' else 'worker' end;
$$;

-- Whether the cluster may still say that it took the worker: it was a pod, went silent, and nothing is known of it.
create function vf_may_be_excused(p_attempt attempt, p_failure jsonb) returns boolean language sql volatile as $$
  select p_failure ->> 'code' = 'LEASE_LAPSED' and exists (select 1 from worker w where w.id = p_attempt.worker_id and w.pod is not null)
    and not exists (select 1 from session s where s.id = p_attempt.session_id and s.is_live)
    and not exists (select 1 from disruption d where d.session_id = p_attempt.session_id);
$$;

-- As in 0012; but where the loss that would use up the budget may still be excused, no verdict is made yet, for nothing leaves a dead letter:
-- the task waits for longer than clusters take to notice a lost node. Without their word it has one try more, and no other.
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
  v_is_held boolean;
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
  v_is_held := v_is_dead and v_class = 'unexplained' and v_count = (v_rule ->> 'failures')::integer and vf_may_be_excused(p_attempt, p_failure);
  v_is_dead := v_is_dead and not v_is_held;
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
  if v_is_held then v_delay_ms := 120000; end if;
  if v_delay_ms = 0 or v_class = 'artifact' then
    return vf_requeue(fx, v_task.id, p_attempt.id, true);
  end if;
  update task set state = 'delayed', current_attempt = null, delayed_until = vf_after(v_delay_ms)
  where id = v_task.id and current_attempt = p_attempt.id;
  return fx;
end $$;

-- The cluster's word may come after the lease ran out. What the session lost is charged to nobody then, as far as its tasks are not over.
-- Returns how many attempts. Index: attempt_blamed_idx.
create function vf_excuse_lost(p_session text) returns integer language plpgsql as $$
declare
  v_attempt attempt;
  v_failure jsonb;
  v_count integer := 0;
begin
  for v_attempt in
    select a.* from attempt a where a.session_id = p_session and a.state = 'lost' and a.error_class = 'unexplained'
      and a.ended_at > vf_after(-3600000) order by a.task_id
  loop
    perform 1 from task t where t.id = v_attempt.task_id and t.state in ('blocked', 'ready', 'running', 'delayed') for no key update;
    continue when not found;
    v_failure := vf_lost_as(v_attempt, '{}');
    continue when v_failure = '{}';
    update attempt set error_class = 'infrastructure', error_code = v_failure ->> 'code', error_message = v_failure ->> 'message'
    where id = v_attempt.id and error_class = 'unexplained';
    continue when not found;
    update task set failures = case when (failures ->> 'unexplained')::integer > 1
      then failures || jsonb_build_object('unexplained', (failures ->> 'unexplained')::integer - 1) else failures - 'unexplained' end
      || jsonb_build_object('infrastructure', coalesce((failures ->> 'infrastructure')::integer, 0) + 1)
    where id = v_attempt.task_id;
    update ready set avoid = array_remove(avoid, v_attempt.worker_id) where task_id = v_attempt.task_id;
    v_count := v_count + 1;
  end loop;
  return v_count;
end $$;

-- Whether a session may be of a pod: one that was there before the pod is another's of the same name, as a StatefulSet makes them. Clocks of
-- the cluster and the database may differ a little.
create function vf_is_of_pod(p_opened_at timestamptz, p_created_ms double precision) returns boolean language sql immutable as $$
  select p_opened_at > to_timestamp(p_created_ms / 1000) - interval '10 seconds';
$$;

-- How long after a worker's last word the cluster's still tells why: a lost node is noticed late.
create function vf_late_ms(p_cause text) returns double precision language sql immutable as $$
  select case when p_cause in ('node_lost', 'node_gone', 'tainted') then 900000 else 120000 end;
$$;

-- What is new of what the cluster does to workers. p_pods: every pod of the pools, [{pool, name, createdAtMs, cause, message, isExcuse,
-- leaveMs}], cause null: nothing is done to it; leaveMs null: what runs goes on. A worker that was a pod and is silent now, where there is no such pod any more, has
-- lost it. Returns {told: [{worker, cause, message}], excused, pushes}; null when the duty is lost.
create function vf_disrupt(p_epoch bigint, p_pools text[], p_pods jsonb) returns jsonb language plpgsql as $$
declare
  v_seen record;
  v_told jsonb := '[]';
  v_excused integer := 0;
  v_drained text[] := '{}';
  v_lost text[] := '{}';
  v_session text;
begin
  if not vf_holds_duty('disruptions', p_epoch) then return null; end if;
  update worker w set pod = w.name from jsonb_to_recordset(p_pods) as p(pool text, name text, "createdAtMs" double precision), session s
  where w.pool = p.pool and w.name = p.name and w.pod is distinct from w.name and s.id = w.session_id and s.is_live
    and vf_is_of_pod(s.opened_at, p."createdAtMs");
  with sound as (
    select w.id, w.session_id from jsonb_to_recordset(p_pods) as p(pool text, name text, "createdAtMs" double precision, cause text)
    join worker w on w.pool = p.pool and w.name = p.name join session s on s.id = w.session_id
    where p.cause is null and vf_is_of_pod(s.opened_at, p."createdAtMs")),
  withdrawn as (delete from disruption d using sound where d.session_id = sound.session_id and d.is_excuse),
  given_back as (
    update cordon c set is_drained = c.was_drained, drain_at = null, was_drained = null from sound
    where c.worker_id = sound.id and c.was_drained is not null)
  delete from cordon c using sound where c.worker_id = sound.id and c.origin = 'disruption';
  for v_seen in
    select w.id, w.name, w.session_id, p.cause, p.message, p."isExcuse" as is_excuse, p."leaveMs" as leave_ms, s.is_live
    from jsonb_to_recordset(p_pods) as p(pool text, name text, "createdAtMs" double precision, cause text, message text, "isExcuse" boolean,
      "leaveMs" double precision)
    join worker w on w.pool = p.pool and w.name = p.name join session s on s.id = w.session_id and vf_is_of_pod(s.opened_at, p."createdAtMs")
    where p.cause is not null and s.end_reason is distinct from 'stopped' and s.last_heard_at > vf_after(-vf_late_ms(p.cause))
    union all
    select w.id, w.name, w.session_id, 'deleted', 'its pod was deleted', true, null, s.is_live
    from worker w join session s on s.id = w.session_id
    where w.pool = any (p_pools) and w.pod is not null and s.end_reason is distinct from 'stopped' and s.lease_until < clock_timestamp()
      and s.last_heard_at > vf_after(-vf_late_ms('deleted'))
      and not exists (select 1 from jsonb_array_elements(p_pods) p where p ->> 'pool' = w.pool and p ->> 'name' = w.pod
        and vf_is_of_pod(s.opened_at, (p ->> 'createdAtMs')::double precision))
    order by 1
  loop
    insert into disruption as d (session_id, worker_id, cause, message, is_excuse)
    values (v_seen.session_id, v_seen.id, v_seen.cause, v_seen.message, v_seen.is_excuse)
    on conflict (session_id) do update set cause = excluded.cause, message = excluded.message
    -- The first word stays, but for those that may be taken back.
    where d.cause in ('node_lost', 'reclaimed') and excluded.is_excuse and d.cause <> excluded.cause;
    if found then
      v_told := v_told || jsonb_build_object('worker', v_seen.name, 'cause', v_seen.cause, 'message', v_seen.message);
    end if;
    if v_seen.is_excuse and not v_seen.is_live then v_lost := array_append(v_lost, v_seen.session_id); end if;
    if v_seen.leave_ms is not null and v_seen.is_live
      and not exists (select 1 from cordon c where c.worker_id = v_seen.id and c.drain_at is not null) then
      perform pg_advisory_xact_lock(vf_steering());
      -- What scaling had set aside is the cluster's then; of a person's cordon is remembered what it was.
      insert into cordon as c (worker_id, reason, placed_by, is_drained, drain_at, origin)
      values (v_seen.id, v_seen.message, 'the cluster', true, vf_after(v_seen.leave_ms), 'disruption')
      on conflict (worker_id) do update set is_drained = true, drain_at = excluded.drain_at,
        was_drained = case c.origin when 'operator' then c.is_drained end,
        origin = case c.origin when 'operator' then c.origin else excluded.origin end,
        reason = case c.origin when 'operator' then c.reason else excluded.reason end,
        placed_by = case c.origin when 'operator' then c.placed_by else excluded.placed_by end;
      v_drained := array_append(v_drained, v_seen.id);
    end if;
  end loop;
  -- Also of a session that ended while this was under way: what was excused already is not again.
  foreach v_session in array v_lost loop
    v_excused := v_excused + vf_excuse_lost(v_session);
  end loop;
  delete from disruption d where d.seen_at < vf_after(-86400000) and not exists (select 1 from session s where s.id = d.session_id and s.is_live);
  return jsonb_build_object('told', v_told, 'excused', v_excused, 'pushes', coalesce((
    select jsonb_agg(jsonb_build_object('workerId', a.worker_id, 'attemptId', a.id, 'level', 'drain') order by a.task_id)
    from worker w join attempt a on a.session_id = w.session_id and a.state = 'running'
    where w.id = any (v_drained) and vf_level(a.id::text) = 'drain'), '[]'));
end $$;

-- What an ask tells before anything is claimed: reports, what the worker holds, what it is and how long its start took.
create or replace function vf_hear(inout fx jsonb, p_ask jsonb, p_policy jsonb, out outcomes jsonb) language plpgsql as $$
begin
  select f.fx, f.outcomes into fx, outcomes from vf_apply_reports(fx, p_ask, p_policy) f;
  fx := vf_free_unheld(fx, p_ask, p_policy);
  perform vf_describe_worker(p_ask ->> 'sessionId', p_ask -> 'worker');
  update worker w set startup_ms = (p_ask -> 'worker' ->> 'startupMs')::double precision
  where w.id = p_ask -> 'worker' ->> 'workerId' and p_ask -> 'worker' ->> 'startupMs' is not null
    and w.startup_ms is distinct from (p_ask -> 'worker' ->> 'startupMs')::double precision;
end $$;
