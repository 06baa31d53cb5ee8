-- The order of claims (design §5; services/domain/order.ts is the same choice as a pure function, and a test holds both together).
--
-- Ready tasks lie in lanes: pool, shape, memory class, class, priority, tenant. A claim looks at lanes and at the heads of a few of them, never
-- at all tasks: the best class and priority first, with a floor for each class; there the tenant with the least decayed device time for
-- its weight; of its heads the one that is due first.
--
-- Shares: device time is charged as expected when an attempt begins, and corrected when the books know better. A charge of t0 weighs
-- 2^((t0 - base) / half-life): all of them decay alike, so that nothing has to be written while time passes.

-- Device memory that a task needs at least, in bytes; 0: not known.
alter table task add column memory_bytes bigint not null default 0 check (memory_bytes >= 0);

-- What tasks of a shape need at least, as their model's manifest says.
create table shape_need (
  shape text primary key,
  memory_bytes bigint not null check (memory_bytes >= 0)
);

-- Sixteen classes an octave: a worker stays at most 4.4 % below the memory that it has.
create function vf_memory_class(p_bytes bigint) returns integer language sql immutable as $$
  select case when p_bytes <= 1048576 then 0 else ceil(16 * log(2.0, p_bytes / 1048576.0))::integer end;
$$;

-- The highest class that fits; a worker that does not know its memory takes all.
create function vf_worker_class(p_bytes bigint) returns integer language sql immutable as $$
  select case when p_bytes <= 0 then 32767
    when p_bytes <= 1048576 then 0 else floor(16 * log(2.0, p_bytes / 1048576.0))::integer end;
$$;

alter table ready
  add column memory_bytes bigint not null default 0,
  add column memory_class integer not null generated always as (vf_memory_class(memory_bytes)) stored,
  -- The deadline of its best user's job, infinity without one.
  add column due_at timestamptz(6) not null default 'infinity',
  -- Open tasks of its best user's render when the row was written.
  add column tasks_left integer not null default 0;
drop index ready_order_idx;
drop index ready_tenant_order_idx;
create index ready_lane_idx on ready (pool, shape, memory_class, class_rank, priority, tenant_id, due_at, tasks_left, queued_at, task_id);
drop trigger ready_fill on ready;
drop function vf_fill_ready();

-- Lanes that may have tasks. Rows come with the first task and go some time after the last, by the order duty.
create table lane (
  pool text not null,
  shape text not null,
  memory_class integer not null,
  class_rank smallint not null,
  priority smallint not null,
  tenant_id text not null,
  primary key (pool, shape, memory_class, class_rank, priority, tenant_id)
);
insert into lane select distinct q.pool, q.shape, q.memory_class, q.class_rank, q.priority, q.tenant_id from ready q;

-- Whoever writes ready rows holds this lock shared until the commit, whoever takes lanes away holds it alone: so no lane goes that a task
-- which is not committed yet lies in.
create function vf_lanes() returns bigint language sql immutable as $$
  select hashtextextended('vapfarm lanes', 0);
$$;

create function vf_open_lanes() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(vf_lanes());
  insert into lane select distinct w.pool, w.shape, w.memory_class, w.class_rank, w.priority, w.tenant_id from written w
  order by 1, 2, 3, 4, 5, 6 on conflict do nothing;
  return null;
end $$;
create trigger ready_insert after insert on ready referencing new table as written for each statement execute function vf_open_lanes();
create trigger ready_update after update on ready referencing new table as written for each statement execute function vf_open_lanes();

-- What an operator grants a tenant; without a row: weight 1, no limits.
create table tenant_limit (
  tenant_id text primary key references tenant on delete restrict on update restrict,
  -- Its part of the device time against those of others.
  weight double precision not null default 1 check (weight > 0),
  -- Attempts that run at once.
  max_running integer check (max_running >= 0),
  -- Renders that wait or run at once.
  max_waiting integer check (max_waiting >= 0)
);

create table share_scale (
  id smallint primary key default 1 check (id = 1),
  base_at timestamptz(6) not null default clock_timestamp(),
  half_life_ms double precision not null default 3600000 check (half_life_ms > 0)
);
insert into share_scale default values;

create table tenant_share (
  pool text not null,
  tenant_id text not null,
  charged double precision not null check (charged >= 0),
  primary key (pool, tenant_id)
) with (fillfactor = 50);

create table class_share (
  pool text not null,
  class_rank smallint not null,
  charged double precision not null check (charged >= 0),
  primary key (pool, class_rank)
) with (fillfactor = 50);

-- Charges and corrections that no claim has added up yet: only inserted, and taken by who holds the pool's lock.
create table share_due (
  id bigint generated by default as identity primary key,
  pool text not null,
  tenant_id text not null,
  class_rank smallint not null,
  amount_ms double precision not null,
  at timestamptz(6) not null
);
create index share_due_pool_idx on share_due (pool);

-- What claims of a pool take from the last round of the order duty.
create table pool_order (
  pool text primary key,
  -- The lowest memory class of a live worker that gets work.
  least_memory_class integer not null
);

alter table attempt
  add column tenant_id text,
  add column class_rank smallint not null default 0,
  -- Null while it is only reserved: its worker has not begun it.
  add column began_at timestamptz(6),
  add column charged_ms double precision not null default 0;
update attempt a set tenant_id = t.tenant_id, began_at = a.started_at from task t where t.id = a.task_id;
create index attempt_tenant_running_idx on attempt (tenant_id) where state = 'running';
create index attempt_reserved_idx on attempt (started_at) where state = 'running' and began_at is null;

-- How much a charge of that time weighs.
create function vf_share_weight(p_at timestamptz) returns double precision language plpgsql stable as $$
begin
  return (select power(2::double precision, extract(epoch from p_at - s.base_at)::double precision * 1000 / s.half_life_ms) from share_scale s);
end $$;

-- Adds up a pool's charges. The caller holds the pool's lock and the steering lock.
create function vf_fold_shares(p_pool text) returns void language plpgsql as $$
begin
  perform 1 from share_due d where d.pool = p_pool limit 1;
  if not found then return; end if;
  with due as (
    delete from share_due where pool = p_pool returning tenant_id, class_rank, amount_ms * vf_share_weight(at) as amount),
  of_classes as (
    insert into class_share as c (pool, class_rank, charged)
    select p_pool, d.class_rank, greatest(0, sum(d.amount)) from due d group by d.class_rank
    on conflict (pool, class_rank) do update set charged = greatest(0, c.charged + (
      select sum(d.amount) from due d where d.class_rank = excluded.class_rank)))
  insert into tenant_share as s (pool, tenant_id, charged)
  select p_pool, d.tenant_id, greatest(0, sum(d.amount)) from due d group by d.tenant_id
  on conflict (pool, tenant_id) do update set charged = greatest(0, s.charged + (
    select sum(d.amount) from due d where d.tenant_id = excluded.tenant_id));
end $$;

-- What the books say of an attempt against what it was charged, and a correction of the books against what they said.
create function vf_correct_share() returns trigger language plpgsql as $$
declare
  v_amount double precision;
begin
  select new.device_ms - case when tg_op = 'INSERT' then a.charged_ms else old.device_ms end into v_amount from attempt a where a.id = new.attempt_id;
  if v_amount <> 0 then
    insert into share_due (pool, tenant_id, class_rank, amount_ms, at)
    select t.pool, t.tenant_id, a.class_rank, v_amount, coalesce(a.began_at, a.started_at)
    from attempt a join task t on t.id = a.task_id where a.id = new.attempt_id;
  end if;
  return null;
end $$;
create trigger usage_share after insert or update of device_ms on usage for each row execute function vf_correct_share();

-- Writes (or refreshes) the rows by which ready tasks are claimed: class, priority, deadline and age of the best user. The tasks are locked.
create or replace function vf_rank_all(p_tasks bigint[]) returns void language sql volatile as $$
  with best as materialized (
    select distinct on (u.task_id) u.task_id, u.render_id, case j.job_class when 'production' then 0 else 1 end as class_rank, j.priority,
      coalesce(j.deadline, 'infinity') as due_at, j.created_at
    from task t join task_user u on u.task_id = t.id and u.is_wanted join render r on r.id = u.render_id join job j on j.id = r.job_id
    where t.id = any (p_tasks) and t.state = 'ready'
    order by u.task_id, 3, j.priority desc, 5, j.created_at, u.render_id),
  lefts as materialized (
    select u.render_id, count(*)::integer as tasks from task_user u join task t on t.id = u.task_id and t.state <> 'succeeded'
    where u.render_id = any (array(select distinct b.render_id from best b)) group by u.render_id)
  insert into ready (task_id, pool, shape, tenant_id, class_rank, priority, due_at, tasks_left, queued_at, memory_bytes, avoid)
  select t.id, t.pool, t.shape, t.tenant_id, best.class_rank, best.priority, best.due_at, coalesce(lefts.tasks, 0), best.created_at,
    greatest(t.memory_bytes, coalesce(e.memory_bytes, 0)),
    array(select distinct a.worker_id from attempt a
          where a.task_id = t.id and a.error_class in ('unexplained', 'engine', 'capacity', 'worker'))
  from best join task t on t.id = best.task_id left join lefts on lefts.render_id = best.render_id
    left join shape_need e on e.shape = t.shape
  order by t.id
  on conflict (task_id) do update
    set class_rank = excluded.class_rank, priority = excluded.priority, due_at = excluded.due_at, tasks_left = excluded.tasks_left,
      queued_at = excluded.queued_at, memory_bytes = excluded.memory_bytes
    where (ready.class_rank, ready.priority, ready.due_at, ready.queued_at, ready.memory_bytes)
      is distinct from (excluded.class_rank, excluded.priority, excluded.due_at, excluded.queued_at, excluded.memory_bytes);
$$;

-- Whether a live worker that is not cordoned could take a task of the shape, has the memory, and is not among those that it avoids.
drop function vf_has_other(text, text, text[]);
create function vf_has_other(p_pool text, p_shape text, p_avoid text[], p_memory_bytes bigint) returns boolean language plpgsql as $$
begin
  return exists (
    select 1 from worker o join session s on s.id = o.session_id
    where o.pool = p_pool and p_shape = any (o.shapes) and o.id <> all (p_avoid)
      and vf_worker_class(o.memory_bytes) >= vf_memory_class(p_memory_bytes)
      and s.is_live and s.lease_until > clock_timestamp()
      and not exists (select 1 from cordon c where c.worker_id = o.id));
end $$;

drop function vf_best(jsonb);
drop function vf_best_unheld(jsonb);
drop function vf_ready_tenants(text, text);
drop function vf_claim(jsonb, text, jsonb);

-- A ready task that the worker must be given next, locked; null when there is none.
create function vf_reserved_task(p_worker jsonb) returns bigint language sql volatile as $$
  select null::bigint;
$$;

-- Classes with less than their floor of the pool's device time. p_floors: shares by class rank. Index: class_share_pkey.
create function vf_starved_classes(p_pool text, p_floors jsonb) returns smallint[] language plpgsql as $$
declare
  v_total constant double precision := (select sum(c.charged) from class_share c where c.pool = p_pool);
begin
  return array(
    select (f.ord - 1)::smallint from jsonb_array_elements(p_floors) with ordinality f(floor, ord)
    left join class_share c on c.pool = p_pool and c.class_rank = f.ord - 1
    where coalesce(c.charged, 0) < f.floor::double precision * v_total);
end $$;

-- Whether the tenant has as many attempts as it may, as things are.
create function vf_runs_most(p_tenant text, p_most integer) returns boolean language plpgsql as $$
begin
  return p_most is not null and (select count(*) from attempt a where a.tenant_id = p_tenant and a.state = 'running') >= p_most;
end $$;

-- The same for a claim: one that has a limit is asked about by one claim at a time, whatever its pool. Locks a tenant that may be given
-- something until the end of the transaction.
create function vf_is_at_limit(p_tenant text, p_most integer) returns boolean language plpgsql as $$
begin
  if p_most is null then return false; end if;
  if vf_runs_most(p_tenant, p_most) then return true; end if;
  perform pg_advisory_xact_lock(hashtextextended('vapfarm tenant ' || p_tenant, 0));
  return vf_runs_most(p_tenant, p_most);
end $$;

-- The best of the heads of a tenant's lanes of one class and priority, locked; null when there is none for the worker. What is due first,
-- then what needs no other engine or has waited for one long enough, then what is nearest its render's end, then the oldest, then what was
-- made of this worker's results. p_lanes: the worker's shapes and memory class; p_ask: {isAhead}. Index: ready_lane_idx.
create function vf_head(p_worker jsonb, p_lane lane, p_least integer, p_options jsonb) returns bigint language plpgsql as $$
declare
  v_worker constant text := p_worker ->> 'workerId';
  v_before constant timestamptz := case when (p_options ->> 'isAhead')::boolean
    then vf_after(-(p_options ->> 'aheadAfterMs')::double precision) else 'infinity' end;
  v_patient_until constant timestamptz := vf_after(-(p_options ->> 'residentPatienceMs')::double precision);
  v_resident constant text[] := array(select jsonb_array_elements_text(p_worker -> 'residentEngineDigests')) || array['-'];
  v_task bigint;
begin
  select head.task_id into v_task
  from lane l cross join lateral (
    select q.task_id, q.shape, q.memory_class, q.due_at, q.tasks_left, q.queued_at, q.ready_at
    from ready q join task t on t.id = q.task_id
    where q.pool = l.pool and q.shape = l.shape and q.memory_class = l.memory_class and q.class_rank = l.class_rank
      and q.priority = l.priority and q.tenant_id = l.tenant_id and q.ready_at <= v_before
      and (v_worker <> all (q.avoid) or not vf_has_other(q.pool, q.shape, q.avoid, q.memory_bytes))
    order by q.due_at, q.tasks_left, q.queued_at, q.task_id limit 1
    for no key update of q, t skip locked) head
  where l.pool = p_lane.pool and l.shape = any (array(select jsonb_array_elements_text(p_worker -> 'shapes')))
    and l.memory_class <= p_lane.memory_class and l.class_rank = p_lane.class_rank and l.priority = p_lane.priority
    and l.tenant_id = p_lane.tenant_id
  order by head.memory_class > p_least desc, head.due_at,
    not (split_part(head.shape, '/', 2) = any (v_resident) or head.ready_at <= v_patient_until), head.tasks_left, head.queued_at,
    not exists (select 1 from task_input i join attempt a on a.task_id = i.producer_id and a.state = 'succeeded'
                where i.task_id = head.task_id and a.worker_id = v_worker),
    head.task_id
  limit 1;
  return v_task;
end $$;

-- The task that the worker is given, locked; null when there is none. What only workers with more memory than the pool's least can run goes
-- first where such a worker asks: others can run the rest. p_options: {floors, residentPatienceMs, aheadAfterMs, isAhead}.
-- The caller holds the pool's lock. Indexes: lane_pkey, tenant_share_pkey.
create function vf_choose(p_worker jsonb, p_options jsonb) returns bigint language plpgsql as $$
declare
  v_pool constant text := p_worker ->> 'pool';
  v_shapes constant text[] := array(select jsonb_array_elements_text(p_worker -> 'shapes'));
  v_class constant integer := vf_worker_class((p_worker ->> 'memoryBytes')::bigint);
  v_starved constant smallint[] := vf_starved_classes(v_pool, p_options -> 'floors');
  v_least constant integer := coalesce((select o.least_memory_class from pool_order o where o.pool = v_pool), 32767);
  v_level record;
  v_tenant record;
  v_task bigint;
begin
  for v_level in
    select l.class_rank, l.priority from lane l
    where l.pool = v_pool and l.shape = any (v_shapes) and l.memory_class <= v_class
    group by l.class_rank, l.priority order by l.class_rank = any (v_starved) desc, l.class_rank, l.priority desc
  loop
    for v_tenant in
      select l.tenant_id, m.max_running from lane l
        left join tenant_share s on s.pool = v_pool and s.tenant_id = l.tenant_id left join tenant_limit m on m.tenant_id = l.tenant_id
      where l.pool = v_pool and l.shape = any (v_shapes) and l.memory_class <= v_class and l.class_rank = v_level.class_rank
        and l.priority = v_level.priority and not exists (select 1 from hold h where h.scope = 'tenant' and h.name = l.tenant_id)
      group by l.tenant_id, m.max_running, s.charged, m.weight
      order by bool_or(l.memory_class > v_least and exists (
          select 1 from ready q where q.pool = l.pool and q.shape = l.shape and q.memory_class = l.memory_class
            and q.class_rank = l.class_rank and q.priority = l.priority and q.tenant_id = l.tenant_id)) desc,
        coalesce(s.charged, 0) / coalesce(m.weight, 1), l.tenant_id
    loop
      continue when vf_is_at_limit(v_tenant.tenant_id, v_tenant.max_running);
      v_task := vf_head(p_worker, row(v_pool, '', v_class, v_level.class_rank, v_level.priority, v_tenant.tenant_id)::lane, v_least, p_options);
      if v_task is not null then return v_task; end if;
    end loop;
  end loop;
  return null;
end $$;

-- What only waits for its worker, a busy one, goes to this one that is free: the oldest such task that it can run, ready again and locked;
-- null when there is none. Index: attempt_reserved_idx.
create function vf_take_reservation(inout fx jsonb, p_worker jsonb, p_options jsonb, out task_id bigint) language plpgsql as $$
declare
  v_attempt attempt;
begin
  select a.* into v_attempt from attempt a join task t on t.current_attempt = a.id
  where a.state = 'running' and a.began_at is null and a.started_at <= vf_after(-(p_options ->> 'aheadAfterMs')::double precision)
    and a.worker_id <> p_worker ->> 'workerId' and t.pool = p_worker ->> 'pool'
    and t.shape = any (array(select jsonb_array_elements_text(p_worker -> 'shapes')))
    and not exists (select 1 from hold h where h.scope = 'tenant' and h.name = t.tenant_id)
    and vf_memory_class(greatest(t.memory_bytes, coalesce((select e.memory_bytes from shape_need e where e.shape = t.shape), 0)))
      <= vf_worker_class((p_worker ->> 'memoryBytes')::bigint)
    and not exists (select 1 from attempt b where b.task_id = t.id and b.worker_id = p_worker ->> 'workerId'
                    and b.error_class in ('unexplained', 'engine', 'capacity', 'worker'))
    and vf_is_wanted(t.id)
  order by a.started_at limit 1 for no key update of t, a skip locked;
  if not found then return; end if;
  fx := vf_free_attempt(fx, v_attempt.id, null, '{}');
  fx := vf_add(fx, 'pushes', jsonb_build_object('workerId', v_attempt.worker_id, 'attemptId', v_attempt.id, 'level', 'revoked'));
  select t.id into task_id from task t join ready q on q.task_id = t.id where t.id = v_attempt.task_id and t.state = 'ready';
end $$;

-- What a worker is told of its attempt. A checkpoint is one more input, where it was made on the worker's profile.
create or replace function vf_claim_view(p_attempt attempt) returns jsonb language sql volatile as $$
  select jsonb_build_object('taskId', t.id, 'attemptId', p_attempt.id, 'attemptNumber', p_attempt.number, 'stage', t.stage,
    'model', t.model, 'engineDigests', t.engine_digests, 'parameters', t.parameters, 'expectedMs', vf_expected_ms(t.shape),
    'isReserved', p_attempt.began_at is null,
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

-- What an attempt is charged when it begins: as long as its shape takes, or a little while that is not known.
create function vf_charge(p_attempt attempt, p_expected_ms double precision, p_options jsonb) returns void language sql volatile as $$
  update attempt set began_at = clock_timestamp(), charged_ms = greatest(p_expected_ms, (p_options ->> 'leastChargeMs')::double precision)
  where id = p_attempt.id;
  insert into share_due (pool, tenant_id, class_rank, amount_ms, at)
  select t.pool, t.tenant_id, a.class_rank, a.charged_ms, a.began_at from attempt a join task t on t.id = a.task_id where a.id = p_attempt.id;
$$;

-- Gives a locked ready task to the worker. An attempt that is only reserved is charged when its worker has begun it.
create function vf_give(inout fx jsonb, p_task bigint, p_ask jsonb, p_options jsonb, out claim jsonb) language plpgsql as $$
declare
  v_attempt attempt;
  v_class smallint;
  v_ready_at timestamptz;
begin
  delete from ready where task_id = p_task returning class_rank, ready_at into v_class, v_ready_at;
  -- Not the transaction's time: the same call may have committed an input of this task.
  insert into attempt (task_id, number, shape, session_id, worker_id, worker_name, started_at, began_at, tenant_id, class_rank)
  select t.id, t.attempt_count + 1, t.shape, p_ask ->> 'sessionId', p_ask -> 'worker' ->> 'workerId', p_ask -> 'worker' ->> 'name',
    clock_timestamp(), case when not (p_options ->> 'isAhead')::boolean then clock_timestamp() end, t.tenant_id, v_class
  from task t where t.id = p_task returning * into v_attempt;
  update task set state = 'running', current_attempt = v_attempt.id, attempt_count = v_attempt.number where id = p_task;
  claim := vf_claim_view(v_attempt) || jsonb_build_object('jobClass', case v_class when 0 then 'production' else 'benchmark' end,
    'waitedMs', extract(epoch from v_attempt.started_at - v_ready_at) * 1000);
  if v_attempt.began_at is not null then
    perform vf_charge(v_attempt, (claim ->> 'expectedMs')::double precision, p_options);
  end if;
  fx := vf_note(fx, p_task, 'task.started', jsonb_build_object('worker', v_attempt.worker_name, 'message', (
    select format('from its checkpoint of step %s', k.step) from task_checkpoint k
    where k.task_id = p_task and claim -> 'inputs' @> '[{"name": "checkpoint"}]')));
end $$;

-- Claims the task that is the worker's turn; null when there is none, or the worker gets nothing. The caller holds the pool's lock. A busy
-- worker that asks ahead gets a reservation, one at a time. services/domain/explain.ts says in words what keeps a task from being
-- claimed: a rule that is added here is added there.
create function vf_claim(inout fx jsonb, p_ask jsonb, p_options jsonb, out claim jsonb) language plpgsql as $$
declare
  v_worker constant jsonb := p_ask -> 'worker';
  v_options jsonb := p_options || jsonb_build_object('isAhead', (p_ask ->> 'freeSlots')::integer = 0);
  v_task bigint;
begin
  if not vf_may_claim(v_worker ->> 'pool', v_worker ->> 'workerId') then return; end if;
  if (v_options ->> 'isAhead')::boolean and exists (
    select 1 from attempt a where a.session_id = p_ask ->> 'sessionId' and a.state = 'running' and a.began_at is null) then return; end if;
  v_task := vf_reserved_task(v_worker);
  if v_task is null then v_task := vf_choose(v_worker, v_options); end if;
  if v_task is null and not (v_options ->> 'isAhead')::boolean then
    select r.fx, r.task_id into fx, v_task from vf_take_reservation(fx, v_worker, v_options) r;
  end if;
  if v_task is null then return; end if;
  select g.fx, g.claim into fx, claim from vf_give(fx, v_task, p_ask, v_options) g;
end $$;

-- Whether an ask is for a task: one to begin now, or one to be ready for.
create function vf_wants_task(p_ask jsonb) returns boolean language sql immutable as $$
  select not (p_ask ->> 'leaving')::boolean
    and ((p_ask ->> 'freeSlots')::integer > 0 or coalesce((p_ask ->> 'aheadSlots')::integer, 0) > 0);
$$;

-- Locks the pools, by name, that someone may claim from, then steering (shared), and adds up what is charged in them.
create or replace function vf_lock_pools(p_asks jsonb[]) returns void language plpgsql as $$
declare
  v_pools constant text[] := array(
    select distinct a.ask -> 'worker' ->> 'pool' from unnest(p_asks) a(ask) where vf_wants_task(a.ask) order by 1);
  v_pool text;
begin
  foreach v_pool in array v_pools loop
    perform pg_advisory_xact_lock(hashtextextended('vapfarm pool ' || v_pool, 0));
  end loop;
  if cardinality(v_pools) > 0 then perform pg_advisory_xact_lock_shared(vf_steering()); end if;
  foreach v_pool in array v_pools loop
    perform vf_fold_shares(v_pool);
  end loop;
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
    if vf_wants_task(v_ask) then
      select f.fx, f.claim into fx, v_part from vf_claim(fx, v_ask, p_options -> 'order') f;
      -- The next ask of this call is judged with it.
      if v_part is not null then perform vf_fold_shares(v_ask -> 'worker' ->> 'pool'); end if;
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

-- Renews the attempts that a beat names, with what they have cost so far, and notes which it leaves out. One that was reserved has begun when
-- it is named in another phase than fetching. HOT updates, but for that.
create or replace function vf_renew_attempts(p_session text, p_progress jsonb) returns void language plpgsql as $$
declare
  v_begun attempt;
begin
  update attempt a set device_ms = greatest(a.device_ms, p."deviceMs"), unnamed_since = null
  from jsonb_to_recordset(p_progress) as p("attemptId" text, "deviceMs" double precision)
  where a.id = vf_fence(p."attemptId") and a.session_id = p_session and a.state = 'running';
  update attempt set unnamed_since = clock_timestamp()
  where session_id = p_session and state = 'running' and unnamed_since is null
    and id not in (select vf_fence(p ->> 'attemptId') from jsonb_array_elements(p_progress) p where vf_fence(p ->> 'attemptId') is not null);
  for v_begun in
    select a.* from attempt a join jsonb_to_recordset(p_progress) as p("attemptId" text, phase text) on a.id = vf_fence(p."attemptId")
    where a.session_id = p_session and a.state = 'running' and a.began_at is null and p.phase <> 'fetch'
  loop
    perform vf_charge(v_begun, vf_expected_ms(v_begun.shape), '{"leastChargeMs": 0}');
  end loop;
end $$;

-- Remembers what shapes need; of two models that say so the larger counts. p_shapes: {shape: bytes}.
create function vf_learn_shapes(p_shapes jsonb) returns void language sql volatile as $$
  insert into shape_need as e (shape, memory_bytes)
  select s.key, s.value::bigint from jsonb_each_text(p_shapes) s order by s.key
  on conflict (shape) do update set memory_bytes = excluded.memory_bytes where e.memory_bytes < excluded.memory_bytes;
$$;

-- Sets what a tenant is granted: {weight, maxRunning, maxWaiting}, null: no limit. Locks: the tenant's row.
create function vf_set_tenant_limit(p_tenant text, p_limit jsonb) returns void language plpgsql as $$
begin
  insert into tenant (id) values (p_tenant) on conflict do nothing;
  insert into tenant_limit (tenant_id, weight, max_running, max_waiting)
  values (p_tenant, (p_limit ->> 'weight')::double precision, (p_limit ->> 'maxRunning')::integer, (p_limit ->> 'maxWaiting')::integer)
  on conflict (tenant_id) do update set weight = excluded.weight, max_running = excluded.max_running, max_waiting = excluded.max_waiting;
end $$;

-- Gives charges a new base when the half-life changed or the numbers grow large, adds up what no claim has, and notes each pool's least
-- memory. False when the duty is lost. Locks: steering, alone.
create function vf_tend_shares(p_epoch bigint, p_half_life_ms double precision) returns boolean language plpgsql as $$
declare
  v_weight double precision;
  v_pool text;
begin
  if not vf_holds_duty('order', p_epoch) then return false; end if;
  perform pg_advisory_xact_lock(vf_steering());
  v_weight := vf_share_weight(clock_timestamp());
  if v_weight > power(2::double precision, 200) or exists (select 1 from share_scale s where s.half_life_ms <> p_half_life_ms) then
    update tenant_share set charged = charged / v_weight;
    update class_share set charged = charged / v_weight;
    update share_scale set base_at = clock_timestamp(), half_life_ms = p_half_life_ms;
  end if;
  for v_pool in select distinct d.pool from share_due d order by 1 loop
    perform vf_fold_shares(v_pool);
  end loop;
  insert into pool_order (pool, least_memory_class)
  select w.pool, min(vf_worker_class(w.memory_bytes)) from worker w join session s on s.id = w.session_id
  where s.is_live and s.lease_until > clock_timestamp() and vf_may_claim(w.pool, w.id) group by w.pool order by w.pool
  on conflict (pool) do update set least_memory_class = excluded.least_memory_class;
  return true;
end $$;

-- Takes empty lanes away, and opens those that ready tasks lie in and that are missing: each of these is a bug. Returns how many were missing;
-- null when the duty is lost. Lanes that have tasks are found by one probe of the index for each. Locks: lanes, alone.
create function vf_tend_lanes(p_epoch bigint) returns integer language plpgsql as $$
declare
  v_missed integer;
begin
  if not vf_holds_duty('order', p_epoch) then return null; end if;
  perform pg_advisory_xact_lock(vf_lanes());
  delete from lane l where not exists (
    select 1 from ready q where q.pool = l.pool and q.shape = l.shape and q.memory_class = l.memory_class and q.class_rank = l.class_rank
      and q.priority = l.priority and q.tenant_id = l.tenant_id);
  with recursive line as (
    (select q.pool, q.shape, q.memory_class, q.class_rank, q.priority, q.tenant_id from ready q order by 1, 2, 3, 4, 5, 6 limit 1)
    union all
    select n.* from line cross join lateral (
      select q.pool, q.shape, q.memory_class, q.class_rank, q.priority, q.tenant_id from ready q
      where (q.pool, q.shape, q.memory_class, q.class_rank, q.priority, q.tenant_id)
        > (line.pool, line.shape, line.memory_class, line.class_rank, line.priority, line.tenant_id)
      order by 1, 2, 3, 4, 5, 6 limit 1) n)
  insert into lane select * from line on conflict do nothing;
  get diagnostics v_missed = row_count;
  return v_missed;
end $$;
