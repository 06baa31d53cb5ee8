-- Renders wait as rows until a window of their pool has room; jobs, tasks and uploads that nothing needs go; bytes have a budget.
--
-- A render that waits has its spec and no tasks (or, asked for again, those that it used before, which it does not want). It is `queued` like
-- one that is expanded and has not started. Whether it waits changes under its job's row lock, and the number in `waiting` with it.

alter table render
  -- Whose window it is counted in: the pool that renders its model.
  add column pool text not null default '',
  -- What its model was when it was asked for (platform/models); null: not known.
  add column model_digest text check (char_length(model_digest) = 64),
  add column is_waiting boolean not null default false check (not is_waiting or state = 'queued');
update render r set pool = coalesce((select t.pool from task_user u join task t on t.id = u.task_id where u.render_id = r.id limit 1), '');
create index render_waiting_idx on render (job_id, pool, position) where is_waiting;
drop index render_open_idx;
create index render_open_idx on render (pool) where state in ('queued', 'running') and not is_waiting;

-- How many renders of a job wait for the window of a pool; no row where none does.
create table waiting (
  job_id text not null references job on delete cascade on update restrict,
  pool text not null,
  tenant_id text not null references tenant on delete restrict on update restrict,
  renders integer not null check (renders >= 0),
  primary key (job_id, pool)
) with (fillfactor = 50);
create index waiting_pool_idx on waiting (pool, tenant_id);
create index waiting_tenant_id_idx on waiting (tenant_id);

-- The uploads that a job's renders start from: kept as long as the job is.
create table job_upload (
  job_id text not null references job on delete cascade on update restrict,
  tenant_id text not null,
  sha256 text not null,
  primary key (job_id, sha256),
  foreign key (tenant_id, sha256) references upload (tenant_id, sha256) on delete restrict on update restrict
);
create index job_upload_sha256_idx on job_upload (tenant_id, sha256);
insert into job_upload (job_id, tenant_id, sha256)
select distinct r.job_id, u.tenant_id, u.sha256 from render r join job j on j.id = r.job_id
cross join lateral (select r.spec #>> '{image,sha256}' as sha256
  union all select x.value ->> 'sha256' from jsonb_array_elements(r.spec -> 'references') x) named
join upload u on u.tenant_id = j.tenant_id and u.sha256 = named.sha256;
create index upload_created_idx on upload (created_at);

-- A job that is being deleted is nobody's any more: no call finds it, and its idempotency key is free.
alter table job add column removed_at timestamptz(6);
create index job_removed_idx on job (removed_at) where removed_at is not null;
create index job_keep_idx on job (ended_at) where ended_at is not null and removed_at is null;

-- Since when a render that used the task is gone: it is looked at, and goes when nothing else needs it.
alter table task add column unused_since timestamptz(6);
create index task_unused_idx on task (unused_since) where unused_since is not null;

alter table artifact
  -- When it was made, or last asked for by a job.
  add column needed_at timestamptz(6) not null default clock_timestamp(),
  -- Condemned for the room that it takes, before its age.
  add column is_evicted boolean not null default false;
update artifact set needed_at = announced_at;
create index artifact_needed_idx on artifact (needed_at, sha256) where is_stored and condemned_at is null;

drop function vf_submit(jsonb);
drop function vf_insert_job(jsonb);
drop function vf_cancel(text, text, integer);
drop function vf_retry(text, text, integer);
drop function vf_move_renders(jsonb, text);
drop function vf_judge_renders(bigint[], bigint[]);

-- Waiting ------------------------------------------------------------------------------------------------------------

-- Adds renders of a locked job to those that wait. Whether each row says so is the caller's.
create function vf_add_waiting(p_job text) returns void language sql volatile as $$
  insert into waiting (job_id, pool, tenant_id, renders)
  select j.id, r.pool, j.tenant_id, count(*) from render r join job j on j.id = r.job_id where r.job_id = p_job and r.is_waiting
  group by j.id, r.pool
  on conflict (job_id, pool) do update set renders = excluded.renders;
$$;

-- Takes renders that waited (by pool, as they were) off their locked job's count.
create function vf_end_waiting(p_job text, p_pools text[]) returns void language plpgsql as $$
begin
  if coalesce(cardinality(p_pools), 0) = 0 then return; end if;
  update waiting w set renders = w.renders - c.renders
  from (select p.pool, count(*)::integer as renders from unnest(p_pools) p(pool) group by p.pool) c
  where w.job_id = p_job and w.pool = c.pool;
  delete from waiting where job_id = p_job and renders = 0;
end $$;

-- What more renders of the tenant would exceed: null, or {kind: full, what, most}. p_limits: {waitingRenders, waitingRendersOfTenant,
-- openJobs, openJobsOfTenant}. Two that come at once may exceed a limit together by what they bring: it bounds growth, it is no quota.
-- Indexes: waiting_tenant_id_idx, job_tenant_created_idx, job_open_idx.
create function vf_too_much(p_tenant text, p_renders integer, p_limits jsonb) returns jsonb language plpgsql as $$
declare
  v_most integer := (select l.max_waiting from tenant_limit l where l.tenant_id = p_tenant);
begin
  if v_most is not null and p_renders + (
    select coalesce(sum(j.render_queued + j.render_running), 0) from job j
    where j.tenant_id = p_tenant and j.state in ('queued', 'running')) > v_most then
    return jsonb_build_object('kind', 'full', 'what', 'open renders of the tenant', 'most', v_most, 'isOwnLimit', true, 'isFinal', p_renders > v_most);
  end if;
  v_most := (p_limits ->> 'waitingRendersOfTenant')::integer;
  if (select coalesce(sum(w.renders), 0) from waiting w where w.tenant_id = p_tenant) + p_renders > v_most then
    return jsonb_build_object('kind', 'full', 'what', 'waiting renders of the tenant', 'most', v_most);
  end if;
  v_most := (p_limits ->> 'waitingRenders')::integer;
  if (select coalesce(sum(w.renders), 0) from waiting w) + p_renders > v_most then
    return jsonb_build_object('kind', 'full', 'what', 'waiting renders', 'most', v_most);
  end if;
  v_most := (p_limits ->> 'openJobsOfTenant')::integer;
  if (select count(*) from (select 1 from job j where j.tenant_id = p_tenant and j.state in ('queued', 'running') limit v_most) o) >= v_most then
    return jsonb_build_object('kind', 'full', 'what', 'open jobs of the tenant', 'most', v_most);
  end if;
  v_most := (p_limits ->> 'openJobs')::integer;
  if (select count(*) from (select 1 from job j where j.state in ('queued', 'running') limit v_most) o) >= v_most then
    return jsonb_build_object('kind', 'full', 'what', 'open jobs', 'most', v_most);
  end if;
  return null;
end $$;

-- Tenants of which nothing starts: held, by a person or a budget, or allowed to run nothing.
create function vf_shut_tenants() returns text[] language plpgsql stable as $$
begin
  return array(select h.name from hold h where h.scope = 'tenant' union select l.tenant_id from tenant_limit l where l.max_running = 0);
end $$;

-- Of a pool's open renders those that take no place in its window, since nothing of them starts (their tenant is shut, their job stopped) or
-- runs. They take one again when they may go on: the window is over-full then, until it drains. Of those that have begun, and so have
-- intermediates, one more window is passed over, no more. Nothing is read where nobody is shut.
-- Indexes: render_open_idx, task_user_render_id_idx.
create function vf_idle_renders(p_pool text, p_window integer) returns table (tenant_id text, job_class text, renders bigint)
language plpgsql stable as $$
declare
  v_tenants constant text[] := vf_shut_tenants();
begin
  if cardinality(v_tenants) = 0 and not exists (select 1 from job_stop) then return; end if;
  return query
    with open as materialized (
      select r.id, r.job_id, r.state from render r where r.pool = p_pool and r.state in ('queued', 'running') and not r.is_waiting)
    select i.tenant_id, i.job_class, count(*) from (
      select j.tenant_id, j.job_class, o.state, row_number() over (partition by o.state order by o.id) as place
      from open o join job j on j.id = o.job_id
      where (j.tenant_id = any (v_tenants) or exists (select 1 from job_stop s where s.job_id = j.id))
        and (o.state = 'queued' or not exists (
          select 1 from task_user u join task t on t.id = u.task_id where u.render_id = o.id and u.is_wanted and t.state = 'running'))) i
    where i.state = 'queued' or i.place <= p_window
    group by i.tenant_id, i.job_class;
end $$;

-- Whether the window of a pool has room for more renders of one who is shut, or is not. Of a shut tenant the renders that take no place count
-- too, or it could expand without end. Index: render_open_idx.
create function vf_has_room(p_pool text, p_renders integer, p_window integer, p_is_shut boolean) returns boolean language plpgsql stable as $$
declare
  v_idle integer;
begin
  if p_renders + (
    select count(*) from (select 1 from render r where r.pool = p_pool and r.state in ('queued', 'running') and not r.is_waiting
                          limit p_window) o) <= p_window then return true; end if;
  if p_is_shut then return false; end if;
  v_idle := (select coalesce(sum(i.renders), 0) from vf_idle_renders(p_pool, p_window) i);
  return v_idle > 0 and p_renders - v_idle + (
    select count(*) from (select 1 from render r where r.pool = p_pool and r.state in ('queued', 'running') and not r.is_waiting
                          limit p_window + v_idle) o) <= p_window;
end $$;

-- Whether renders of a tenant can be expanded at once: each pool's window has room for them, and none of the tenant's own of the same or a
-- better class and priority, of a job that is not stopped, waits for it. p_wanted: pool -> renders. What others of its tenants wait for is the
-- duty's part of the window (domain/expansion.ts). Submits that commit at once may exceed a window together by what they bring.
-- Indexes: render_open_idx, waiting_pool_idx.
create function vf_fits(p_tenant text, p_class text, p_priority integer, p_wanted jsonb, p_window integer) returns boolean
language plpgsql as $$
declare
  v_is_shut constant boolean := p_tenant = any (vf_shut_tenants());
begin
  return not exists (
    select 1 from jsonb_each_text(p_wanted) w(pool, renders)
    where not vf_has_room(w.pool, w.renders::integer, p_window, v_is_shut)
      or exists (
        select 1 from waiting l join job j on j.id = l.job_id
        where l.pool = w.pool and l.tenant_id = p_tenant and not exists (select 1 from job_stop s where s.job_id = j.id)
          and (case j.job_class when 'production' then 0 else 1 end, -j.priority)
            <= (case p_class when 'production' then 0 else 1 end, -p_priority)));
end $$;

-- Notes which uploads a job starts from; one that was lost meanwhile is a lost race: the statement that is run again says so.
create function vf_use_uploads(p_job text, p_tenant text, p_uploads jsonb) returns void language plpgsql as $$
declare
  v_count integer;
begin
  insert into job_upload (job_id, tenant_id, sha256)
  select p_job, k.tenant_id, k.sha256 from (
    select u.tenant_id, u.sha256 from upload u where u.tenant_id = p_tenant and u.sha256 in (select jsonb_array_elements_text(p_uploads))
    order by u.sha256 for key share) k
  on conflict do nothing;
  get diagnostics v_count = row_count;
  if v_count < (select count(*) from jsonb_array_elements_text(p_uploads) s
                where not exists (select 1 from job_upload l where l.job_id = p_job and l.sha256 = s)) then
    raise exception 'an upload was lost' using errcode = 'serialization_failure';
  end if;
end $$;

-- Submitting ---------------------------------------------------------------------------------------------------------

-- Stores a job's own row and webhook; false when its id or key is taken.
create function vf_insert_job(p_job jsonb, p_renders integer) returns boolean language plpgsql as $$
begin
  insert into job (id, tenant_id, idempotency_key, body_digest, job_class, priority, deadline, reuse, render_total, render_queued)
  values (p_job ->> 'jobId', p_job ->> 'tenant', p_job ->> 'idempotencyKey', p_job ->> 'bodyDigest', p_job ->> 'jobClass',
    (p_job ->> 'priority')::smallint, (p_job ->> 'deadline')::timestamptz, p_job ->> 'reuse', p_renders, p_renders)
  on conflict do nothing;
  if not found then return false; end if;
  insert into webhook (job_id, url, secret)
  select p_job ->> 'jobId', p_job -> 'webhook' ->> 'url', p_job -> 'webhook' ->> 'secret' where p_job -> 'webhook' ? 'url';
  return true;
end $$;

-- Adds renders behind those that a job has: [{spec, modelWeights, fps, pool, modelDigest}]; p_first: position of the first.
create function vf_add_renders(p_job text, p_first integer, p_renders jsonb, p_are_waiting boolean) returns void language sql volatile as $$
  insert into render (job_id, position, spec, model_weights, fps, pool, model_digest, is_waiting)
  select p_job, p_first + r.ord - 1, r.value -> 'spec', r.value ->> 'modelWeights', (r.value ->> 'fps')::integer,
    coalesce(r.value ->> 'pool', ''), r.value ->> 'modelDigest', p_are_waiting
  from jsonb_array_elements(p_renders) with ordinality r(value, ord) order by r.ord;
$$;

-- p_job: SubmitJob of job-contract.ts as sql/submit.ts sends it; p_limits: as vf_too_much, and openRenders, the window of a pool.
-- Outcomes: stored, repeated, conflict, invalid (uploads that are missing), full. A job whose renders fit into their pools' windows is
-- expanded; of another the renders are stored, and wait. Locks: the new job's id and key, which only a repeat waits for; tasks by id, artifacts.
-- Indexes: task_content_key_current_key, job_tenant_id_idempotency_key_key, render_open_idx.
create function vf_submit(p_job jsonb, p_limits jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_job constant text := p_job ->> 'jobId';
  v_tenant constant text := p_job ->> 'tenant';
  v_outcome jsonb;
  v_fits boolean;
  v_ids bigint[];
  v_fresh bigint[];
begin
  insert into tenant (id) values (v_tenant) on conflict do nothing;
  v_outcome := vf_repeated(p_job);
  if v_outcome is not null then return v_outcome; end if;
  v_outcome := vf_missing_uploads(v_tenant, p_job -> 'uploads');
  if v_outcome <> '[]' then return jsonb_build_object('kind', 'invalid', 'missing', v_outcome); end if;
  v_outcome := vf_too_much(v_tenant, jsonb_array_length(p_job -> 'renders'), p_limits);
  if v_outcome is not null then return v_outcome; end if;
  v_fits := vf_fits(v_tenant, p_job ->> 'jobClass', (p_job ->> 'priority')::integer, (
    select jsonb_object_agg(g.pool, g.renders) from (
      select coalesce(r ->> 'pool', '') as pool, count(*) as renders from jsonb_array_elements(p_job -> 'renders') r group by 1) g),
    (p_limits ->> 'openRenders')::integer);
  if not vf_insert_job(p_job, jsonb_array_length(p_job -> 'renders')) then
    return coalesce(vf_repeated(p_job), jsonb_build_object('kind', 'conflict', 'jobId', v_job));
  end if;
  perform vf_add_renders(v_job, 0, p_job -> 'renders', not v_fits);
  update job set models = array(select distinct r -> 'spec' ->> 'model' from jsonb_array_elements(p_job -> 'renders') r order by 1) where id = v_job;
  if v_fits then
    select t.ids, t.fresh into v_ids, v_fresh from vf_take_tasks(v_tenant, p_job -> 'tasks') t;
  end if;
  perform vf_keep_uploads(v_tenant, p_job -> 'uploads');
  perform vf_use_uploads(v_job, v_tenant, p_job -> 'uploads');
  if v_fits then
    perform vf_use_tasks(p_job, v_ids);
    fx := vf_wire_tasks(fx, p_job -> 'tasks', v_ids, v_fresh);
  else
    perform vf_add_waiting(v_job);
  end if;
  fx := vf_add(fx, 'events', jsonb_build_object('job', v_job, 'kind', 'job.submitted', 'jobState', 'queued'));
  fx := vf_add(fx, 'jobs', to_jsonb(v_job));
  return jsonb_build_object('kind', 'stored', 'jobId', v_job, 'isWaiting', not v_fits, 'aftermath', vf_flush(fx));
end $$;

-- A job whose renders come as a manifest is stored in one transaction of several statements: this one, vf_add_renders for each part of the
-- manifest, vf_finish_manifest. p_job: as vf_submit, with renderTotal instead of renders, tasks and uploads.
-- Outcomes: begun, repeated, conflict, full.
create function vf_begin_manifest(p_job jsonb, p_limits jsonb) returns jsonb language plpgsql as $$
declare
  v_outcome jsonb;
begin
  insert into tenant (id) values (p_job ->> 'tenant') on conflict do nothing;
  v_outcome := coalesce(vf_repeated(p_job), vf_too_much(p_job ->> 'tenant', (p_job ->> 'renderTotal')::integer, p_limits));
  if v_outcome is not null then return v_outcome; end if;
  if not vf_insert_job(p_job, (p_job ->> 'renderTotal')::integer) then
    return coalesce(vf_repeated(p_job), jsonb_build_object('kind', 'conflict', 'jobId', p_job ->> 'jobId'));
  end if;
  return '{"kind": "begun"}';
end $$;

-- Outcomes: stored; invalid (uploads that were there when the renders were checked and are missing): nothing must be committed then.
-- Locks: uploads and their artifacts by hash. Index: render_waiting_idx.
create function vf_finish_manifest(p_job text) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_tenant constant text := (select j.tenant_id from job j where j.id = p_job);
  v_uploads constant jsonb := coalesce((
    select jsonb_agg(distinct named.sha256) from render r cross join lateral (
      select r.spec #>> '{image,sha256}' as sha256
      union all select x.value ->> 'sha256' from jsonb_array_elements(r.spec -> 'references') x) named
    where r.job_id = p_job), '[]');
  v_missing constant jsonb := vf_missing_uploads(v_tenant, v_uploads);
begin
  if v_missing <> '[]' then return jsonb_build_object('kind', 'invalid', 'missing', v_missing); end if;
  perform vf_keep_uploads(v_tenant, v_uploads);
  perform vf_use_uploads(p_job, v_tenant, v_uploads);
  update job set models = array(select distinct r.spec ->> 'model' from render r where r.job_id = p_job order by 1) where id = p_job;
  perform vf_add_waiting(p_job);
  fx := vf_add(fx, 'events', jsonb_build_object('job', p_job, 'kind', 'job.submitted', 'jobState', 'queued'));
  return jsonb_build_object('kind', 'stored', 'jobId', p_job, 'isWaiting', true, 'aftermath', vf_flush(fx));
end $$;

-- Expanding ----------------------------------------------------------------------------------------------------------

-- What the decision about expanding is made from, for pools whose window has room: {isWaiting, pools: [{pool, open: [{tenant, jobClass, renders}],
-- lines: [{jobId, tenant, jobClass, priority, createdAt (ms), renders}]}]}. Of each tenant the first lines, as many as there is room for,
-- and no more than p_most. What would not start anyhow is left out: held pools, lines of shut tenants and of stopped jobs, and what
-- vf_idle_renders tells. p_window: renders that are kept open in a pool. Indexes: waiting_pool_idx, render_open_idx.
create function vf_expansion_facts(p_window integer, p_most integer) returns jsonb language plpgsql as $$
declare
  v_shut constant text[] := vf_shut_tenants();
begin
  return (
    with recursive pool(name) as (
      (select w.pool from waiting w order by w.pool limit 1)
      union all
      select (select w.pool from waiting w where w.pool > pool.name order by w.pool limit 1) from pool where pool.name is not null),
    free as materialized (
      select p.name from pool p
      where p.name is not null and not exists (select 1 from hold h where h.scope = 'farm' or (h.scope = 'pool' and h.name = p.name))),
    open as materialized (
      select n.pool, n.tenant_id, n.job_class, n.renders - coalesce(i.renders, 0) as renders from (
        select f.name as pool, j.tenant_id, j.job_class, count(r.id) as renders
        from free f join render r on r.pool = f.name and r.state in ('queued', 'running') and not r.is_waiting join job j on j.id = r.job_id
        group by f.name, j.tenant_id, j.job_class) n
      left join (select f.name as pool, x.* from free f cross join lateral vf_idle_renders(f.name, p_window) x) i
        on i.pool = n.pool and i.tenant_id = n.tenant_id and i.job_class = n.job_class),
    room as (
      select f.name as pool, p_window - coalesce((select sum(o.renders) from open o where o.pool = f.name), 0) as renders from free f),
    line as (
      select w.pool, w.job_id, w.tenant_id, w.renders, j.job_class, j.priority, j.created_at,
        row_number() over (partition by w.pool, w.tenant_id, j.job_class order by j.priority desc, j.created_at, j.id) as place, room.renders as room
      from room join waiting w on w.pool = room.pool join job j on j.id = w.job_id
      where room.renders > 0 and w.tenant_id <> all (v_shut) and not exists (select 1 from job_stop s where s.job_id = w.job_id))
    select jsonb_build_object('isWaiting', exists (select 1 from waiting), 'pools', coalesce(jsonb_agg(jsonb_build_object('pool', room.pool,
      'open', coalesce((select jsonb_agg(jsonb_build_object('tenant', o.tenant_id, 'jobClass', o.job_class, 'renders', o.renders))
                        from open o where o.pool = room.pool), '[]'),
      'lines', coalesce((
        select jsonb_agg(jsonb_build_object('jobId', l.job_id, 'tenant', l.tenant_id, 'jobClass', l.job_class, 'priority', l.priority,
          'createdAt', extract(epoch from l.created_at) * 1000, 'renders', l.renders)) from line l where l.pool = room.pool and l.place <= least(l.room, p_most)), '[]'))), '[]'))
    from room where room.renders > 0);
end $$;

-- The first renders that wait of lines: [{jobId, pool, renders}]. Result: [{renderId, jobId, tenant, reuse, position, spec, modelDigest,
-- isPlanned (it used tasks before)}]. Index: render_waiting_idx.
create function vf_waiting_renders(p_lines jsonb) returns jsonb language plpgsql as $$
begin
  return coalesce((
    select jsonb_agg(jsonb_build_object('renderId', r.id, 'jobId', j.id, 'tenant', j.tenant_id, 'reuse', j.reuse, 'position', r.position,
      'spec', r.spec, 'modelDigest', r.model_digest, 'isPlanned', exists (select 1 from task_user u where u.render_id = r.id)) order by l.ord, r.position)
    from jsonb_array_elements(p_lines) with ordinality l(value, ord) join job j on j.id = l.value ->> 'jobId'
    cross join lateral (
      select r.id, r.position, r.spec, r.model_digest from render r
      where r.job_id = j.id and r.pool = l.value ->> 'pool' and r.is_waiting order by r.position limit (l.value ->> 'renders')::integer) r), '[]');
end $$;

-- Locks the jobs of renders, by id; those of the renders that wait still then wait no more, and are counted in p_pool (null: as before).
create function vf_stop_waiting(p_renders bigint[], p_pool text) returns bigint[] language plpgsql as $$
declare
  v_still bigint[];
  v_job text;
begin
  perform 1 from job j where j.id = any (array(select r.job_id from render r where r.id = any (p_renders))) order by j.id for no key update;
  v_still := array(select r.id from render r where r.id = any (p_renders) and r.is_waiting order by r.id);
  for v_job in select distinct r.job_id from render r where r.id = any (v_still) order by 1 loop
    perform vf_end_waiting(v_job, array(select r.pool from render r where r.id = any (v_still) and r.job_id = v_job));
  end loop;
  update render set is_waiting = false, pool = coalesce(p_pool, pool) where id = any (v_still);
  return v_still;
end $$;

-- Renders of locked jobs that are to be looked at when the transaction ends: their tasks may have succeeded already.
create function vf_look_at(fx jsonb, p_renders bigint[]) returns jsonb language sql volatile as $$
  select vf_add_all(fx, 'cancels', (
    select jsonb_agg(jsonb_build_object('job', r.job_id, 'render', r.id, 'as', 'judged') order by r.id) from render r where r.id = any (p_renders)));
$$;

-- Expands renders of one tenant in one pool. p_batch: {tenant, pool, tasks, uploads, renders: [{id, uses}]} as of vf_submit. Renders that do
-- not wait any more are passed over. Null when the duty is lost; {"kind": "invalid", missing}: uploads that are gone, and nothing was done;
-- {"kind": "expanded", renders, aftermath}. Locks: tasks by id, artifacts, jobs by id.
create function vf_expand(p_epoch bigint, p_batch jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_tenant constant text := p_batch ->> 'tenant';
  v_missing jsonb;
  v_renders bigint[] := array(select (r ->> 'id')::bigint from jsonb_array_elements(p_batch -> 'renders') r);
  v_ids bigint[];
  v_fresh bigint[];
begin
  if not vf_holds_duty('expand', p_epoch) then return null; end if;
  v_missing := vf_missing_uploads(v_tenant, p_batch -> 'uploads');
  if v_missing <> '[]' then return jsonb_build_object('kind', 'invalid', 'missing', v_missing); end if;
  select t.ids, t.fresh into v_ids, v_fresh from vf_take_tasks(v_tenant, p_batch -> 'tasks') t;
  perform vf_keep_uploads(v_tenant, p_batch -> 'uploads');
  v_renders := vf_stop_waiting(v_renders, p_batch ->> 'pool');
  insert into task_user (task_id, render_id, position, label, artifacts, is_reused)
  select t.id, r.id, u.ord, u.value ->> 'label', array(select jsonb_array_elements_text(u.value -> 'artifacts')), t.state = 'succeeded'
  from jsonb_array_elements(p_batch -> 'renders') p join unnest(v_renders) r(id) on r.id = (p ->> 'id')::bigint
  cross join lateral jsonb_array_elements(p -> 'uses') with ordinality u(value, ord)
  join unnest(v_ids) with ordinality k(id, ord) on k.ord = (u.value ->> 'task')::integer + 1
  join task t on t.id = k.id;
  fx := vf_wire_tasks(fx, p_batch -> 'tasks', v_ids, v_fresh);
  -- Made for renders that ended meanwhile: nobody ever used them.
  update task set unused_since = clock_timestamp() where id = any (v_fresh) and state = 'cancelled';
  fx := vf_look_at(fx, v_renders);
  return jsonb_build_object('kind', 'expanded', 'renders', cardinality(v_renders), 'aftermath', vf_flush(fx));
end $$;

-- The same for renders that had tasks before: they are planned as they were.
create function vf_expand_again(p_epoch bigint, p_tenant text, p_renders bigint[]) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_renders bigint[];
  v_tasks constant jsonb := vf_planned_again(p_renders);
  v_uploads constant jsonb := vf_uploads_of(v_tasks);
  v_missing jsonb;
  v_ids bigint[];
  v_fresh bigint[];
begin
  if not vf_holds_duty('expand', p_epoch) then return null; end if;
  v_missing := vf_missing_uploads(p_tenant, v_uploads);
  if v_missing <> '[]' then return jsonb_build_object('kind', 'invalid', 'missing', v_missing); end if;
  select t.ids, t.fresh into v_ids, v_fresh from vf_take_tasks(p_tenant, v_tasks) t;
  perform vf_keep_uploads(p_tenant, v_uploads);
  v_renders := vf_stop_waiting(p_renders, null);
  perform vf_repoint_users(v_renders, v_ids);
  fx := vf_wire_tasks(fx, v_tasks, v_ids, v_fresh);
  fx := vf_look_at(fx, v_renders);
  return jsonb_build_object('kind', 'expanded', 'renders', cardinality(v_renders), 'aftermath', vf_flush(fx));
end $$;

-- Fails renders that wait and cannot be expanded, each for its reason: [{id, code, message}]. Null when the duty is lost.
create function vf_fail_waiting(p_epoch bigint, p_failures jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_still bigint[] := array(select (f ->> 'id')::bigint from jsonb_array_elements(p_failures) f);
begin
  if not vf_holds_duty('expand', p_epoch) then return null; end if;
  perform 1 from job j where j.id = any (array(select r.job_id from render r where r.id = any (v_still))) order by j.id for no key update;
  v_still := array(select r.id from render r where r.id = any (v_still) and r.is_waiting);
  fx := vf_add_all(fx, 'cancels', (
    select jsonb_agg(jsonb_build_object('job', r.job_id, 'render', r.id, 'as', 'failed', 'code', f.code, 'message', f.message) order by r.id)
    from jsonb_to_recordset(p_failures) as f(id bigint, code text, message text) join render r on r.id = f.id where r.id = any (v_still)));
  return vf_flush(fx);
end $$;

-- Settling -----------------------------------------------------------------------------------------------------------
-- `cancels` of the effects names renders: cancelled, or {"as": "judged"}: whose tasks changed, or {"as": "failed", code, message}.

-- The open renders of a locked job that what happened may have moved: a start moves those that are queued, an end may end them. One that
-- waits has nothing that could move it.
create or replace function vf_touched_renders(fx jsonb, p_job text) returns bigint[] language plpgsql as $$
declare
  v_tasks bigint[];
  v_over bigint[];
  v_named constant bigint[] := array(select c.render from jsonb_to_recordset(fx -> 'cancels') as c(job text, render bigint) where c.job = p_job);
begin
  if fx -> 'jobs' ? p_job then
    return array(select r.id from render r where r.job_id = p_job and r.state in ('queued', 'running') and not r.is_waiting
                 union select unnest(v_named));
  end if;
  select coalesce(array_agg(distinct e.task), '{}'), coalesce(array_agg(distinct e.task) filter (where e.kind in ('task.succeeded', 'task.failed')), '{}')
  into v_tasks, v_over from jsonb_to_recordset(fx -> 'events') as e(job text, kind text, task bigint)
  where e.job = p_job and e.task is not null;
  return array(
    select u.render_id from vf_users_in_job(p_job, v_tasks) u
    where u.state = 'queued' or (u.state = 'running' and u.task_id = any (v_over))
    union
    select unnest(v_named));
end $$;

-- What the tasks of renders, or someone's word, make of those that are open. One that waits stays until someone says what it is.
create function vf_judge_renders(p_renders bigint[], p_words jsonb) returns table (render_id bigint, was text, is_now text, waited_in text)
language plpgsql as $$
begin
  return query select r.id, r.state, case
      when word.kind in ('cancelled', 'failed') then word.kind
      when r.is_waiting then r.state
      when tasks.is_dead then 'failed'
      when tasks.is_done then 'succeeded'
      when r.state = 'running' or tasks.has_started then 'running'
      else 'queued' end, case when r.is_waiting then r.pool end
  from unnest(p_renders) named(id) join render r on r.id = named.id
  left join (select w.render, coalesce(min(w.as), 'cancelled') as kind from jsonb_to_recordset(p_words) as w(render bigint, "as" text)
             group by w.render) word on word.render = r.id
  cross join lateral (
    select bool_or(t.state in ('failed', 'cancelled')) as is_dead, bool_and(t.state = 'succeeded') as is_done,
      bool_or(t.state in ('running', 'delayed')) as has_started
    from task_user u join task t on t.id = u.task_id where u.render_id = r.id) tasks
  where r.state in ('queued', 'running');
end $$;

-- Moves the renders of a locked job to where their tasks (or someone's word) put them; returns those that moved. A render that failed has the
-- failure that was told, or that of its task that failed first.
create function vf_move_renders(fx jsonb, p_job text) returns table (render_id bigint, was text, is_now text, waited_in text) language plpgsql as $$
declare
  v_words constant jsonb := coalesce((select jsonb_agg(c) from jsonb_array_elements(fx -> 'cancels') c where c ->> 'job' = p_job), '[]');
begin
  return query with judged as materialized (
    select j.* from vf_judge_renders(vf_touched_renders(fx, p_job), v_words) j where j.is_now <> j.was)
  update render r set state = j.is_now, is_waiting = r.is_waiting and j.is_now = 'queued',
    ended_at = case when j.is_now not in ('queued', 'running') then clock_timestamp() end,
    failure_code = case when j.is_now = 'failed' then coalesce(f.failure_code, 'INTERNAL') end,
    failure_message = case when j.is_now = 'failed' then coalesce(f.failure_message, 'a task of the render had ended') end,
    failure_stage = case when j.is_now = 'failed' then coalesce(f.stage, '') end
  from judged j left join lateral (
    select w.code as failure_code, w.message as failure_message, '' as stage
    from jsonb_to_recordset(v_words) as w(render bigint, "as" text, code text, message text)
    where j.is_now = 'failed' and w.render = j.render_id and w.as = 'failed'
    union all
    (select t.failure_code, t.failure_message, t.stage from task_user u join task t on t.id = u.task_id
     where u.render_id = j.render_id and j.is_now = 'failed' and t.state = 'failed' order by t.ended_at, u.position limit 1)
    limit 1) f on true
  where r.id = j.render_id
  returning r.id, j.was, j.is_now, j.waited_in;
end $$;

-- Gives a locked open job its noted events, its renders and itself their states; renders that end use nothing any more.
create or replace function vf_settle_job(fx jsonb, p_job job) returns jsonb language plpgsql as $$
declare
  v_last integer := vf_write_events(fx, p_job);
  v_was text[];
  v_is_now text[];
  v_ended bigint[];
  v_waited text[];
  v_counts jsonb;
  v_state text;
begin
  select array_agg(m.was), array_agg(m.is_now), array_agg(m.render_id) filter (where m.is_now not in ('queued', 'running')),
    array_agg(m.waited_in) filter (where m.waited_in is not null)
  into v_was, v_is_now, v_ended, v_waited from vf_move_renders(fx, p_job.id) m;
  if v_was is null then
    update job set last_event = v_last where id = p_job.id and last_event <> v_last;
    return fx;
  end if;
  perform vf_end_waiting(p_job.id, v_waited);
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

-- Cancelling and retrying --------------------------------------------------------------------------------------------

-- Ends the job's open renders, or the one at p_position; of those that wait at most p_most. Idempotent. Null when the tenant (null: anyone) has
-- no such job or render; else {left, aftermath}: left says whether to call again, because more wait. What runs is ended by the first call.
create function vf_cancel(p_tenant text, p_job text, p_position integer, p_most integer) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_open bigint[];
  v_waiting bigint[];
begin
  perform 1 from job j join render r on r.job_id = j.id
  where j.id = p_job and j.removed_at is null and (p_tenant is null or j.tenant_id = p_tenant) and (p_position is null or r.position = p_position)
  limit 1;
  if not found then return null; end if;
  v_open := array(select r.id from render r
    where r.job_id = p_job and (p_position is null or r.position = p_position) and r.state in ('queued', 'running') and not r.is_waiting);
  v_waiting := array(select r.id from render r
    where r.job_id = p_job and (p_position is null or r.position = p_position) and r.is_waiting limit p_most);
  perform vf_lock_open_tasks(v_open);
  fx := vf_add_all(fx, 'cancels', (
    select jsonb_agg(jsonb_build_object('job', p_job, 'render', o.id)) from unnest(v_open || v_waiting) o(id)));
  return jsonb_build_object('left', cardinality(v_waiting) = p_most, 'aftermath', vf_flush(fx));
end $$;

-- The renders that a retry names and that can be: failed or cancelled, in order of position, at most p_most (null: all).
drop function vf_retryable(text, integer);
create function vf_retryable(p_job text, p_position integer, p_most integer) returns bigint[] language sql volatile as $$
  select array(select r.id from render r
    where r.job_id = p_job and (p_position is null or r.position = p_position) and r.state in ('failed', 'cancelled')
    order by r.position limit p_most);
$$;

-- Of renders those that name one of the uploads, the first few: who submitted them is told.
create function vf_renders_with(p_renders bigint[], p_uploads jsonb) returns jsonb language sql volatile as $$
  select coalesce(jsonb_agg(jsonb_build_object('position', n.position, 'spec', n.spec) order by n.position), '[]') from (
    select r.position, r.spec from render r
    where r.id = any (p_renders) and (p_uploads ? (r.spec #>> '{image,sha256}') or exists (
      select 1 from jsonb_array_elements(r.spec -> 'references') x where p_uploads ? (x ->> 'sha256')))
    order by r.position limit 50) n;
$$;

-- Runs failed and cancelled renders of the job (or the one at p_position) again, at most p_most in a call. Those that fit into the window are
-- expanded as they were; many, or such as never had tasks, or of a stopped job, wait for it. Null when the tenant (null: anyone) has no such job or render.
-- Outcomes: nothing; invalid (uploads that are gone, and the specs that name them); retried (renders, left: whether to call again).
create function vf_retry(p_tenant text, p_job text, p_position integer, p_limits jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_job job;
  v_most constant integer := (p_limits ->> 'most')::integer;
  v_at_once constant integer := (p_limits ->> 'atOnce')::integer;
  v_renders bigint[] := vf_retryable(p_job, p_position, v_most);
  v_fits boolean;
  v_tasks jsonb := '[]';
  v_uploads jsonb;
  v_named jsonb;
  v_ids bigint[];
  v_fresh bigint[];
begin
  select j.* into v_job from job j join render r on r.job_id = j.id and (p_position is null or r.position = p_position)
  where j.id = p_job and j.removed_at is null and (p_tenant is null or j.tenant_id = p_tenant) limit 1;
  if not found then return null; end if;
  if cardinality(v_renders) = 0 then return '{"kind": "nothing"}'; end if;
  v_fits := cardinality(v_renders) <= v_at_once and not exists (select 1 from job_stop s where s.job_id = p_job)
    and not exists (select 1 from unnest(v_renders) k(id) where not exists (select 1 from task_user u where u.render_id = k.id))
    and vf_fits(v_job.tenant_id, v_job.job_class, v_job.priority, (
      select jsonb_object_agg(g.pool, g.renders) from (
        select r.pool, count(*) as renders from render r where r.id = any (v_renders) group by 1) g), (p_limits ->> 'openRenders')::integer);
  if v_fits then v_tasks := vf_planned_again(v_renders); end if;
  v_uploads := case when v_fits then vf_uploads_of(v_tasks)
    else coalesce((select jsonb_agg(u.sha256) from job_upload u where u.job_id = p_job), '[]') end;
  v_uploads := vf_missing_uploads(v_job.tenant_id, v_uploads);
  if v_uploads <> '[]' then
    v_named := vf_renders_with(vf_retryable(p_job, p_position, null), v_uploads);
    if v_fits or v_named <> '[]' then return jsonb_build_object('kind', 'invalid', 'missing', v_uploads, 'renders', v_named); end if;
  end if;
  if v_fits then
    select t.ids, t.fresh into v_ids, v_fresh from vf_take_tasks(v_job.tenant_id, v_tasks) t;
    perform vf_keep_uploads(v_job.tenant_id, vf_uploads_of(v_tasks));
  end if;
  select j.* into v_job from job j where j.id = p_job for no key update;
  if v_job.removed_at is not null or vf_retryable(p_job, p_position, v_most) <> v_renders then
    raise exception 'the job has changed' using errcode = 'serialization_failure';
  end if;
  if v_fits then
    perform vf_repoint_users(v_renders, v_ids);
  end if;
  fx := vf_reopen_renders(fx, v_job, v_renders);
  if v_fits then
    fx := vf_wire_tasks(fx, v_tasks, v_ids, v_fresh);
  else
    update render set is_waiting = true where id = any (v_renders);
    perform vf_add_waiting(p_job);
  end if;
  return jsonb_build_object('kind', 'retried', 'renders', cardinality(v_renders), 'isWaiting', not v_fits,
    'left', p_position is null and cardinality(v_renders) = v_most, 'aftermath', vf_flush(fx));
end $$;

-- Finds and repairs what should never be; {"repaired", "aftermath"}, null when the duty is lost. Each find is a bug.
create or replace function vf_sweep(p_epoch bigint, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_task task;
  v_what text;
  v_job text;
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
  where r.state in ('queued', 'running') and not r.is_waiting and (
    select bool_and(t.state = 'succeeded') or bool_or(t.state in ('failed', 'cancelled'))
    from task_user u join task t on t.id = u.task_id where u.render_id = r.id);
  v_repaired := v_repaired + v_count;
  for v_job in
    select coalesce(a.job_id, w.job_id) from (select r.job_id, r.pool, count(*) as renders from render r where r.is_waiting group by r.job_id, r.pool) a
    full join waiting w on w.job_id = a.job_id and w.pool = a.pool where a.renders is distinct from w.renders order by 1
  loop
    perform 1 from job j where j.id = v_job for no key update;
    delete from waiting where job_id = v_job;
    perform vf_add_waiting(v_job);
    v_repaired := v_repaired + 1;
  end loop;
  return jsonb_build_object('repaired', v_repaired, 'aftermath', vf_flush(fx));
end $$;

-- Retention ----------------------------------------------------------------------------------------------------------

-- Takes jobs that ended before out of everybody's sight, the longest ended first. Not one that is to be told of still (events, a webhook), nor
-- one whose renders have scores. Index: job_keep_idx.
create function vf_remove_jobs(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with removed as (
    update job set removed_at = clock_timestamp(), idempotency_key = null
    where id in (
      select j.id from job j where j.ended_at < p_before and j.removed_at is null and not j.has_unsent
        and not exists (select 1 from webhook_delivery d where d.job_id = j.id and d.next_try_at is not null)
        and not exists (select 1 from render r join score s on s.render_id = r.id where r.job_id = j.id)
      order by j.ended_at limit p_limit for no key update skip locked)
    returning 1)
  select count(*)::integer from removed;
$$;

-- Deletes of removed jobs a part of their renders, then of their events, then those jobs that have none left. What renders used is noted as
-- unused where no other uses it. Returns how many rows went. Indexes: job_removed_idx, render_job_id_position_key, task_user_render_id_idx.
create function vf_prune_removed(p_limit integer) returns integer language plpgsql as $$
declare
  v_renders constant bigint[] := array(
    select r.id from job j join render r on r.job_id = j.id where j.removed_at is not null order by j.removed_at, j.id, r.position limit p_limit);
  v_tasks constant bigint[] := array(
    select u.task_id from task_user u where u.render_id = any (v_renders)
    union select f.task_id from former_use f where f.render_id = any (v_renders) order by 1);
  v_events integer;
  v_jobs integer;
begin
  delete from render where id = any (v_renders);
  update task t set unused_since = clock_timestamp()
  where t.id = any (v_tasks) and t.unused_since is null
    and not exists (select 1 from task_user u where u.task_id = t.id) and not exists (select 1 from former_use f where f.task_id = t.id);
  delete from event where (job_id, number) in (
    select e.job_id, e.number from job j join event e on e.job_id = j.id where j.removed_at is not null limit p_limit);
  get diagnostics v_events = row_count;
  delete from job where id in (
    select j.id from job j where j.removed_at is not null
      and not exists (select 1 from render r where r.job_id = j.id) and not exists (select 1 from event e where e.job_id = j.id)
    order by j.removed_at limit p_limit for update skip locked);
  get diagnostics v_jobs = row_count;
  return cardinality(v_renders) + v_events + v_jobs;
end $$;

-- Ended tasks that no render uses any more: those that are retired or failed or have no results left go, with attempts and inputs. Not what
-- another task takes an output of, and not what a score was made by. One that stays is looked at again later. Returns how many went.
-- Index: task_unused_idx.
create function vf_prune_tasks(p_before timestamptz, p_limit integer) returns integer language plpgsql as $$
declare
  v_tasks bigint[] := array(
    select t.id from task t where t.unused_since < p_before order by t.unused_since limit p_limit for update skip locked);
  v_gone bigint[];
  v_fewer bigint[];
begin
  update task t set unused_since = null
  where t.id = any (v_tasks)
    and (exists (select 1 from task_user u where u.task_id = t.id) or exists (select 1 from former_use f where f.task_id = t.id));
  v_gone := array(
    select t.id from task t
    where t.id = any (v_tasks) and t.unused_since is not null and t.state in ('succeeded', 'failed', 'cancelled')
      and (t.is_retired or t.state <> 'succeeded' or not exists (select 1 from task_output o where o.task_id = t.id))
      and not exists (select 1 from attempt a join score s on s.attempt_id = a.id where a.task_id = t.id));
  loop
    v_fewer := array(select k.id from unnest(v_gone) k(id)
      where not exists (select 1 from task_input i where i.producer_id = k.id and i.task_id <> all (v_gone)));
    exit when cardinality(v_fewer) = cardinality(v_gone);
    v_gone := v_fewer;
  end loop;
  delete from task_input where task_id = any (v_gone);
  delete from task where id = any (v_gone);
  update task set unused_since = clock_timestamp() where id = any (v_tasks) and unused_since is not null;
  return cardinality(v_gone);
end $$;

-- Uploads that were handed in before (or again) and that no kept job starts from. Their bytes are collected then. Index: upload_created_idx.
create function vf_prune_media(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with gone as (
    delete from upload where (tenant_id, sha256) in (
      select u.tenant_id, u.sha256 from upload u
      where u.created_at < p_before
        and not exists (select 1 from job_upload l where l.tenant_id = u.tenant_id and l.sha256 = u.sha256)
        and not exists (select 1 from resumable_upload r where r.tenant_id = u.tenant_id and r.finished_sha256 = u.sha256)
      order by u.created_at limit p_limit for update skip locked)
    returning 1)
  select count(*)::integer from gone;
$$;

-- Deletes a batch of what its retention no longer keeps: at most p_limit rows of each table, oldest first where the key says so.
-- Returns the number of rows, to be called again until it is 0; null when the duty is lost.
-- p_options: {keepSessionsMs, keepEventsMs, keepUsageMs, keepAttemptsMs, keepJobsMs, keepUploadsMs, keepUnusedTasksMs}.
create or replace function vf_prune(p_epoch bigint, p_options jsonb, p_limit integer) returns integer language plpgsql as $$
begin
  if not vf_holds_duty('prune', p_epoch) then return null; end if;
  return vf_prune_sessions(vf_after(-(p_options ->> 'keepSessionsMs')::double precision), p_limit)
    + vf_prune_events(vf_after(-(p_options ->> 'keepEventsMs')::double precision), p_limit)
    + vf_prune_usage(vf_after(-(p_options ->> 'keepUsageMs')::double precision), p_limit)
    + vf_prune_attempts(vf_after(-(p_options ->> 'keepAttemptsMs')::double precision), p_limit)
    + vf_prune_uploads(p_limit)
    + vf_remove_jobs(vf_after(-(p_options ->> 'keepJobsMs')::double precision), p_limit)
    + vf_prune_removed(p_limit)
    + vf_prune_tasks(vf_after(-(p_options ->> 'keepUnusedTasksMs')::double precision), p_limit)
    + vf_prune_media(vf_after(-(p_options ->> 'keepUploadsMs')::double precision), p_limit);
end $$;

-- Collection by size -------------------------------------------------------------------------------------------------

-- Those of the locked tasks that can serve nobody new: failed, cancelled, or without an output that was stored. The outputs of the others are
-- locked, kept from collection, and noted as needed now (to the minute).
create or replace function vf_dead_tasks(p_tasks bigint[]) returns bigint[] language plpgsql as $$
declare
  v_dead bigint[];
begin
  perform 1 from artifact a
  where a.sha256 = any (array(
    select o.sha256 from task t join task_output o on o.task_id = t.id where t.id = any (p_tasks) and t.state = 'succeeded'))
  order by a.sha256 for no key update;
  v_dead := array(select t.id from task t where t.id = any (p_tasks) and (t.state in ('failed', 'cancelled') or (t.state = 'succeeded'
    and (select bool_and(a.is_stored) from task_output o join artifact a on a.sha256 = o.sha256 where o.task_id = t.id) is not true)));
  update artifact a set condemned_at = null, needed_at = clock_timestamp()
  where (a.condemned_at is not null or a.needed_at < vf_after(-60000)) and a.sha256 in (
    select o.sha256 from unnest(p_tasks) p(id) join task_output o on o.task_id = p.id
    where not exists (select 1 from unnest(v_dead) d(id) where d.id = p.id));
  return v_dead;
end $$;

-- Whether the task's inputs are needed: it is open, or a dead letter that people may still look at and retry.
create function vf_may_run_again(p_task task, p_options jsonb) returns boolean language sql volatile as $$
  select p_task.state in ('blocked', 'ready', 'running', 'delayed') or (p_task.state = 'failed' and not p_task.is_retired
    and p_task.ended_at > vf_after(-(p_options ->> 'keepDeadLettersMs')::double precision));
$$;

-- Whether anything may still ask for the artifact's bytes. p_options: {keepIntermediatesMs, longestUploadMs, collectResults}; with
-- collectResults, what a finished render hands out is not kept for that.
create or replace function vf_is_needed(p_sha256 text, p_options jsonb) returns boolean language sql volatile as $$
  select exists (select 1 from upload u where u.sha256 = p_sha256)
    or exists (select 1 from upload_part p where p.sha256 = p_sha256)
    or exists (select 1 from task_checkpoint k where k.sha256 = p_sha256)
    or exists (select 1 from artifact a where a.sha256 = p_sha256 and not a.is_stored
               and a.announced_at > vf_after(-(p_options ->> 'longestUploadMs')::double precision))
    or exists (select 1 from task_input i join task t on t.id = i.task_id
               where i.upload_sha256 = p_sha256 and vf_may_run_again(t, p_options))
    or exists (
      select 1 from task_output o join task p on p.id = o.task_id where o.sha256 = p_sha256 and (
        p.ended_at > vf_after(-(p_options ->> 'keepIntermediatesMs')::double precision)
        or exists (select 1 from task_input i join task t on t.id = i.task_id
                   where i.producer_id = p.id and vf_may_run_again(t, p_options))
        or exists (select 1 from task_user u join render r on r.id = u.render_id
                   where u.task_id = p.id and (u.is_wanted or (
                     o.name = any (u.artifacts) and r.state = 'succeeded' and not coalesce((p_options ->> 'collectResults')::boolean, false))))));
$$;

-- What is asked of an artifact's use: one that was condemned for its room is not kept for its age, a result only where results may go.
create function vf_collect_options(p_options jsonb, p_is_evicted boolean) returns jsonb language sql immutable as $$
  select case when p_is_evicted then p_options || '{"keepIntermediatesMs": 0}' else p_options - 'collectResults' end;
$$;

-- Condemns finished bytes that were needed least recently, whatever their age, at most p_limit of them, until no more than p_bytes are too many.
-- Returns how many bytes that frees. Index: artifact_needed_idx.
create function vf_evict(p_bytes bigint, p_options jsonb, p_limit integer) returns bigint language sql volatile as $$
  with loose as materialized (
    select a.sha256, a.size_bytes, a.needed_at from artifact a
    where a.is_stored and a.condemned_at is null and not vf_is_needed(a.sha256, p_options)
    order by a.needed_at, a.sha256 limit p_limit for no key update skip locked),
  summed as (
    select l.sha256, sum(l.size_bytes) over (order by l.needed_at, l.sha256) - l.size_bytes as before from loose l),
  gone as (
    update artifact a set condemned_at = clock_timestamp(), is_evicted = true
    from summed s where s.sha256 = a.sha256 and s.before < p_bytes returning a.size_bytes)
  select coalesce(sum(g.size_bytes), 0)::bigint from gone g;
$$;

-- When more bytes are stored than highBytes, condemns down to lowBytes: intermediates first, results after them where collectResults is set.
create function vf_make_room(p_options jsonb) returns void language plpgsql as $$
declare
  v_stored bigint;
  v_excess bigint;
begin
  if p_options ->> 'highBytes' is null then return; end if;
  v_stored := (select coalesce(sum(a.size_bytes), 0) from artifact a where a.is_stored and a.condemned_at is null);
  if v_stored <= (p_options ->> 'highBytes')::bigint then return; end if;
  v_excess := v_stored - (p_options ->> 'lowBytes')::bigint;
  v_excess := v_excess - vf_evict(v_excess, vf_collect_options(p_options, true) - 'collectResults', 1000);
  if v_excess > 0 and (p_options ->> 'collectResults')::boolean then
    perform vf_evict(v_excess, vf_collect_options(p_options, true), 1000);
  end if;
end $$;

-- Condemns what nothing needs, and what there is no room for; returns the hashes that have been condemned for long enough. Null when the duty
-- is lost. p_options: as vf_is_needed, and {leaseMs, highBytes (null: no bound), lowBytes}.
create or replace function vf_condemn(p_epoch bigint, p_options jsonb) returns text[] language plpgsql as $$
declare
  v_by_age constant jsonb := vf_collect_options(p_options, false);
begin
  if not vf_holds_duty('collection', p_epoch) then return null; end if;
  update artifact set condemned_at = clock_timestamp(), is_evicted = false
  where sha256 in (select a.sha256 from artifact a where a.condemned_at is null and not vf_is_needed(a.sha256, v_by_age)
                   order by a.sha256 limit 1000 for no key update skip locked)
    and not vf_is_needed(sha256, v_by_age);
  perform vf_make_room(p_options);
  return array(select a.sha256 from artifact a
    where a.condemned_at <= vf_after(-((p_options ->> 'longestUploadMs')::double precision + (p_options ->> 'leaseMs')::double precision))
    order by a.condemned_at limit 1000);
end $$;

-- Locks an artifact for its deletion and says whether that is still right. The tasks that made it are locked first and retired.
create or replace function vf_begin_collect(p_sha256 text, p_options jsonb) returns boolean language plpgsql as $$
declare
  v_wait_ms constant double precision := (p_options ->> 'longestUploadMs')::double precision + (p_options ->> 'leaseMs')::double precision;
  v_is_evicted boolean;
begin
  perform 1 from task t where t.id in (select o.task_id from task_output o where o.sha256 = p_sha256) order by t.id for no key update;
  select a.is_evicted into v_is_evicted from artifact a where a.sha256 = p_sha256 and a.condemned_at <= vf_after(-v_wait_ms) for update;
  if not found then return false; end if;
  if vf_is_needed(p_sha256, vf_collect_options(p_options, v_is_evicted)) then
    update artifact set condemned_at = null where sha256 = p_sha256;
    return false;
  end if;
  update task set is_retired = true where not is_retired and id in (select o.task_id from task_output o where o.sha256 = p_sha256);
  delete from task_output where sha256 = p_sha256;
  return true;
end $$;
