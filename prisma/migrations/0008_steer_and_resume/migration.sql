-- What operators steer (holds, cordons, drains), uploads that can be resumed, and the key that addresses are signed with.

-- Nothing new is started for what is held.
create table hold (
  scope text not null check (scope in ('farm', 'pool', 'tenant')),
  name text not null check (char_length(name) <= 128),
  reason text not null,
  placed_by text not null,
  placed_at timestamptz(6) not null default clock_timestamp(),
  primary key (scope, name),
  check ((name = '') = (scope = 'farm'))
);

-- Workers that get nothing new. Keyed by the worker, not by its session: it holds over restarts.
create table cordon (
  worker_id text primary key check (char_length(worker_id) between 1 and 128),
  reason text not null,
  placed_by text not null,
  placed_at timestamptz(6) not null default clock_timestamp(),
  is_drained boolean not null,
  -- When what the worker still runs is given back; null: never.
  drain_at timestamptz(6),
  check (drain_at is null or is_drained)
);

-- Whose the task is, so that a claim can step over a held tenant's tasks at once; and since when it waits for a worker.
alter table ready add column tenant_id text;
alter table ready add column ready_at timestamptz(6) not null default clock_timestamp();
update ready q set tenant_id = t.tenant_id from task t where t.id = q.task_id;
alter table ready alter column tenant_id set not null;
create index ready_tenant_order_idx on ready (pool, shape, tenant_id, class_rank, priority desc, queued_at, task_id);

-- The tenant is the task's, whoever writes the row.
create function vf_fill_ready() returns trigger language plpgsql as $$
begin
  new.tenant_id := (select t.tenant_id from task t where t.id = new.task_id);
  return new;
end $$;
create trigger ready_fill before insert on ready for each row execute function vf_fill_ready();

create index usage_at_idx on usage (at);
create index usage_task_id_idx on usage (task_id);

create table signing_key (
  id smallint primary key default 1 check (id = 1),
  key bytea not null check (octet_length(key) = 32)
);

-- An upload before it is whole. Its row stays until it expires, so that a client can ask what it became.
create table resumable_upload (
  id text primary key check (char_length(id) between 1 and 64),
  tenant_id text not null references tenant on delete restrict on update restrict,
  file_name text not null,
  size_bytes bigint not null check (size_bytes >= 0),
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  received_bytes bigint not null default 0,
  lifetime_ms double precision not null check (lifetime_ms > 0),
  expires_at timestamptz(6) not null,
  created_at timestamptz(6) not null default clock_timestamp(),
  finished_sha256 text,
  check (received_bytes between 0 and size_bytes),
  foreign key (tenant_id, finished_sha256) references upload (tenant_id, sha256) on delete restrict on update restrict
);
create index resumable_upload_tenant_id_idx on resumable_upload (tenant_id);
create index resumable_upload_expires_at_idx on resumable_upload (expires_at);

-- Bytes of an upload as they came, each an artifact of its own; gone once the upload is finished or dropped.
create table upload_part (
  upload_id text not null references resumable_upload on delete cascade on update restrict,
  offset_bytes bigint not null check (offset_bytes >= 0),
  sha256 text not null references artifact on delete restrict on update restrict,
  size_bytes bigint not null check (size_bytes > 0),
  primary key (upload_id, offset_bytes)
);
create index upload_part_sha256_idx on upload_part (sha256);

-- Steering: claims take this lock shared until they commit, whoever places something takes it alone. So nothing that a hold or a
-- cordon forbids is claimed after its commit. The order of locks is pool -> steering -> ready rows and tasks -> job; who places
-- something holds no other lock then and waits for none after.
create function vf_steering() returns bigint language sql immutable as $$
  select hashtextextended('vapfarm steering', 0);
$$;

-- Functions that a claim calls are plpgsql: it keeps their plans, SQL functions are planned at each call.

-- Whether a worker of the pool gets anything at all. Indexes: hold_pkey, cordon_pkey.
create function vf_may_claim(p_pool text, p_worker text) returns boolean language plpgsql as $$
begin
  return not exists (select 1 from hold h where h.scope = 'farm' and h.name = '')
    and not exists (select 1 from hold h where h.scope = 'pool' and h.name = p_pool)
    and not exists (select 1 from cordon c where c.worker_id = p_worker);
end $$;

-- Whether a live worker that gets work could take a task of the shape and is not among those that it avoids.
create function vf_has_other(p_pool text, p_shape text, p_avoid text[]) returns boolean language plpgsql as $$
begin
  return exists (
    select 1 from worker o join session s on s.id = o.session_id
    where o.pool = p_pool and p_shape = any (o.shapes) and o.id <> all (p_avoid)
      and s.is_live and s.lease_until > clock_timestamp()
      and not exists (select 1 from cordon c where c.worker_id = o.id));
end $$;

-- The best ready task of any tenant that the worker can run, locked; null when there is none. Index: ready_order_idx, one head per shape.
create function vf_best(p_worker jsonb) returns bigint language plpgsql as $$
declare
  v_task bigint;
begin
  select head.task_id into v_task
  from jsonb_array_elements_text(p_worker -> 'shapes') shape(name) cross join lateral (
    select q.task_id, q.class_rank, q.priority, q.queued_at
    from ready q join task t on t.id = q.task_id
    where q.pool = p_worker ->> 'pool' and q.shape = shape.name
      and (p_worker ->> 'workerId' <> all (q.avoid) or not vf_has_other(q.pool, q.shape, q.avoid))
    order by q.class_rank, q.priority desc, q.queued_at, q.task_id limit 1
    for no key update of q, t skip locked
  ) head
  order by head.class_rank, head.priority desc, head.queued_at, head.task_id limit 1;
  return v_task;
end $$;

-- The tenants with a ready task of a shape, found by one probe of the index for each, however many tasks one of them has.
-- Index: ready_tenant_order_idx.
create function vf_ready_tenants(p_pool text, p_shape text) returns setof text language plpgsql as $$
begin
  return query
  with recursive line as (
    (select q.tenant_id from ready q where q.pool = p_pool and q.shape = p_shape order by q.tenant_id limit 1)
    union all
    select (select q.tenant_id from ready q where q.pool = p_pool and q.shape = p_shape and q.tenant_id > line.tenant_id
            order by q.tenant_id limit 1)
    from line where line.tenant_id is not null)
  select line.tenant_id from line where line.tenant_id is not null;
end $$;

-- The best ready task of a tenant that is not held, locked; null when there is none. A head that is locked at the moment gives way to
-- its tenant's next. Index: ready_tenant_order_idx, one head per shape and tenant.
create function vf_best_unheld(p_worker jsonb) returns bigint language plpgsql as $$
declare
  v_pool text := p_worker ->> 'pool';
  v_worker text := p_worker ->> 'workerId';
  v_line record;
  v_task bigint;
begin
  for v_line in
    select shape.name as shape, tenant.id as tenant
    from jsonb_array_elements_text(p_worker -> 'shapes') shape(name) cross join lateral vf_ready_tenants(v_pool, shape.name) tenant(id)
    cross join lateral (
      select q.task_id, q.class_rank, q.priority, q.queued_at from ready q
      where q.pool = v_pool and q.shape = shape.name and q.tenant_id = tenant.id
        and (v_worker <> all (q.avoid) or not vf_has_other(q.pool, q.shape, q.avoid))
      order by q.class_rank, q.priority desc, q.queued_at, q.task_id limit 1) head
    where not exists (select 1 from hold h where h.scope = 'tenant' and h.name = tenant.id)
    order by head.class_rank, head.priority desc, head.queued_at, head.task_id
  loop
    select q.task_id into v_task from ready q join task t on t.id = q.task_id
    where q.pool = v_pool and q.shape = v_line.shape and q.tenant_id = v_line.tenant
      and (v_worker <> all (q.avoid) or not vf_has_other(q.pool, q.shape, q.avoid))
    order by q.class_rank, q.priority desc, q.queued_at, q.task_id limit 1
    for no key update of q, t skip locked;
    if found then return v_task; end if;
  end loop;
  return null;
end $$;

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
  fx := vf_note(fx, v_task, 'task.started', jsonb_build_object('worker', v_attempt.worker_name));
  claim := vf_claim_view(v_attempt);
end $$;

-- How the farm sees an attempt: one of a drained worker is given back once the grace is over. Index: cordon_pkey.
create or replace function vf_level(p_fence text) returns text language sql volatile as $$
  select coalesce((
    select case when not (a.state = 'running' and t.current_attempt = a.id) then 'revoked'
      when not vf_is_wanted(t.id) then 'unwanted'
      when exists (select 1 from cordon c where c.worker_id = a.worker_id and c.drain_at <= clock_timestamp()) then 'drain'
      else 'wanted' end
    from attempt a join task t on t.id = a.task_id where a.id = vf_fence(p_fence)), 'revoked');
$$;

-- What may start of a pool, a tenant and shapes (null: of any), as others hear of it after a commit.
create function vf_startable(p_pool text, p_tenant text, p_shapes text[]) returns jsonb language sql volatile as $$
  select jsonb_build_object('touchedJobIds', '[]'::jsonb, 'pushes', '[]'::jsonb, 'ready', coalesce((
    select jsonb_agg(jsonb_build_object('pool', g.pool, 'shape', g.shape, 'count', g.count)) from (
      select q.pool, q.shape, count(*) from ready q
      where (p_pool is null or q.pool = p_pool) and (p_tenant is null or q.tenant_id = p_tenant)
        and (p_shapes is null or q.shape = any (p_shapes))
        and not exists (select 1 from hold h where h.scope = 'farm' or (h.scope, h.name) in (('pool', q.pool), ('tenant', q.tenant_id)))
      group by q.pool, q.shape) g), '[]'));
$$;

-- Idempotent: an earlier hold keeps its time, the reason is the last. Locks: steering.
create function vf_place_hold(p_scope text, p_name text, p_by text, p_reason text) returns hold language plpgsql as $$
declare
  v_hold hold;
begin
  perform pg_advisory_xact_lock(vf_steering());
  insert into hold (scope, name, reason, placed_by) values (p_scope, p_name, p_reason, p_by)
  on conflict (scope, name) do update set reason = excluded.reason returning * into v_hold;
  return v_hold;
end $$;

-- The aftermath; null when there was no such hold.
create function vf_release_hold(p_scope text, p_name text) returns jsonb language plpgsql as $$
begin
  delete from hold where scope = p_scope and name = p_name;
  if not found then return null; end if;
  return vf_startable(case p_scope when 'pool' then p_name end, case p_scope when 'tenant' then p_name end, null);
end $$;

-- Gives the worker nothing new; with p_grace_ms what it runs then is given back. An earlier cordon keeps its time and who placed it.
-- Returns {"pushes", "aftermath"}; null when there is no such worker. Locks: steering.
create function vf_cordon(p_worker text, p_by text, p_reason text, p_is_drained boolean, p_grace_ms double precision) returns jsonb
language plpgsql as $$
begin
  perform 1 from worker w where w.id = p_worker;
  if not found then return null; end if;
  perform pg_advisory_xact_lock(vf_steering());
  insert into cordon (worker_id, reason, placed_by, is_drained, drain_at)
  values (p_worker, p_reason, p_by, p_is_drained, vf_after(p_grace_ms))
  on conflict (worker_id) do update set reason = excluded.reason, is_drained = excluded.is_drained, drain_at = excluded.drain_at;
  return jsonb_build_object('aftermath', vf_no_effects() - 'jobs' - 'events' || '{"touchedJobIds": []}', 'pushes', coalesce((
    select jsonb_agg(jsonb_build_object('workerId', a.worker_id, 'attemptId', a.id, 'level', 'drain') order by a.task_id)
    from worker w join attempt a on a.session_id = w.session_id and a.state = 'running'
    where w.id = p_worker and vf_level(a.id::text) = 'drain'), '[]'));
end $$;

-- Idempotent. As of vf_cordon; what the worker could run is in the aftermath.
create function vf_uncordon(p_worker text) returns jsonb language plpgsql as $$
declare
  v_worker worker;
begin
  select w.* into v_worker from worker w where w.id = p_worker;
  if not found then return null; end if;
  delete from cordon where worker_id = p_worker;
  return jsonb_build_object('pushes', '[]'::jsonb,
    'aftermath', vf_startable(v_worker.pool, null, case when found then v_worker.shapes else '{}' end));
end $$;

-- Begins an upload, unless the tenant has p_most open ones: then null. Locks: the tenant's row, so that two count one after the other.
create function vf_begin_upload(p_upload jsonb, p_most integer) returns text language plpgsql as $$
declare
  v_tenant text := p_upload ->> 'tenant';
begin
  insert into tenant (id) values (v_tenant) on conflict do nothing;
  perform 1 from tenant t where t.id = v_tenant for no key update;
  if (select count(*) from resumable_upload r where r.tenant_id = v_tenant and r.finished_sha256 is null
      and r.expires_at > clock_timestamp()) >= p_most then
    return null;
  end if;
  insert into resumable_upload (id, tenant_id, file_name, size_bytes, sha256, lifetime_ms, expires_at)
  select u."uploadId", v_tenant, u."fileName", u."sizeBytes", u.sha256, u."lifetimeMs", vf_after(u."lifetimeMs")
  from jsonb_to_record(p_upload) as u("uploadId" text, "fileName" text, "sizeBytes" bigint, sha256 text, "lifetimeMs" double precision);
  return p_upload ->> 'uploadId';
end $$;

-- Appends a part whose bytes are stored, when it begins where the upload ends. Returns {kind: appended | moved, receivedBytes}; null
-- when the upload is over. Locks: the upload, then the artifact.
create function vf_append_upload_part(p_tenant text, p_upload text, p_part jsonb) returns jsonb language plpgsql as $$
declare
  v_upload resumable_upload;
  v_offset bigint := (p_part ->> 'offsetBytes')::bigint;
  v_size bigint := (p_part ->> 'sizeBytes')::bigint;
begin
  select r.* into v_upload from resumable_upload r
  where r.id = p_upload and r.tenant_id = p_tenant and r.finished_sha256 is null for update;
  if not found or v_upload.expires_at <= clock_timestamp() then return null; end if;
  if v_upload.received_bytes <> v_offset then
    return jsonb_build_object('kind', 'moved', 'receivedBytes', v_upload.received_bytes);
  end if;
  insert into artifact (sha256, size_bytes, media_type, is_stored) values (p_part ->> 'sha256', v_size, 'application/octet-stream', true)
  on conflict (sha256) do update set is_stored = true, condemned_at = null;
  insert into upload_part (upload_id, offset_bytes, sha256, size_bytes) values (p_upload, v_offset, p_part ->> 'sha256', v_size);
  update resumable_upload set received_bytes = v_offset + v_size, expires_at = vf_after(v_upload.lifetime_ms) where id = p_upload;
  return jsonb_build_object('kind', 'appended', 'receivedBytes', v_offset + v_size);
end $$;

-- Whether anything may still ask for the artifact's bytes. p_options: {keepIntermediatesMs, longestUploadMs}.
create or replace function vf_is_needed(p_sha256 text, p_options jsonb) returns boolean language sql volatile as $$
  select exists (select 1 from upload u where u.sha256 = p_sha256)
    or exists (select 1 from upload_part p where p.sha256 = p_sha256)
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

-- Sessions that ended before, with their stored answers and the workers that had no other since. A cordoned worker stays known, so that
-- its cordon can be seen and taken back.
create or replace function vf_prune_sessions(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with answers as (
    delete from session_answer where session_id in (
      select s.id from session s join session_answer sa on sa.session_id = s.id where s.ended_at < p_before order by s.id limit p_limit)
    returning 1),
  workers as (
    delete from worker where id in (
      select w.id from worker w join session s on s.id = w.session_id where s.ended_at < p_before
        and not exists (select 1 from cordon c where c.worker_id = w.id)
      order by w.id limit p_limit)
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

-- Resumable uploads that expired, with their parts. Those that are being appended to are left. Index: resumable_upload_expires_at_idx.
create function vf_prune_uploads(p_limit integer) returns integer language sql volatile as $$
  with gone as (
    delete from resumable_upload where id in (
      select r.id from resumable_upload r where r.expires_at < clock_timestamp() order by r.expires_at limit p_limit
      for update skip locked) and expires_at < clock_timestamp() returning 1)
  select count(*)::integer from gone;
$$;

-- Events that have been sent, of jobs that ended before.
create function vf_prune_events(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with gone as (
    delete from event where (job_id, number) in (
      select e.job_id, e.number from job j join event e on e.job_id = j.id and e.number <= j.sent_event
      where j.ended_at < p_before limit p_limit) returning 1)
  select count(*)::integer from gone;
$$;

-- Entries of the books that are older. Index: usage_at_idx.
create function vf_prune_usage(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with gone as (delete from usage where id in (select u.id from usage u where u.at < p_before order by u.at limit p_limit) returning 1)
  select count(*)::integer from gone;
$$;

-- Deletes a batch of what its retention no longer keeps: at most p_limit rows of each table, oldest first where the key says so.
-- Returns the number of rows, to be called again until it is 0; null when the duty is lost.
-- p_options: {keepSessionsMs, keepEventsMs, keepUsageMs, keepAttemptsMs}.
create or replace function vf_prune(p_epoch bigint, p_options jsonb, p_limit integer) returns integer language plpgsql as $$
begin
  if not vf_holds_duty('prune', p_epoch) then return null; end if;
  return vf_prune_sessions(vf_after(-(p_options ->> 'keepSessionsMs')::double precision), p_limit)
    + vf_prune_events(vf_after(-(p_options ->> 'keepEventsMs')::double precision), p_limit)
    + vf_prune_usage(vf_after(-(p_options ->> 'keepUsageMs')::double precision), p_limit)
    + vf_prune_attempts(vf_after(-(p_options ->> 'keepAttemptsMs')::double precision), p_limit)
    + vf_prune_uploads(p_limit);
end $$;
