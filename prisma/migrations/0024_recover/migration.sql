-- Recovering: what is told of a database that went back in time, by a restore or a failover that lost something, before anyone works with it.
--
-- Everything from the lost time may still be about: workers with sessions and attempts that this database never saw, event numbers that
-- watchers and the JetStream copy have seen and that are used anew, artifacts without rows, and rows whose artifacts were collected.
-- It runs alone: no coordinator is connected (services/platform/database/recover.ts sees to that), so the order of locks does not matter.

-- What a program must know at least to work on this database: the name of a migration. One that takes away what the release before it uses
-- raises this; those that only add leave it, and both releases work side by side.
alter table farm add column needs_migration text not null default '0017_compute_what_is_needed';

alter table session drop constraint session_end_reason_check;
alter table session add constraint session_end_reason_check check (end_reason in ('superseded', 'lapsed', 'stopped', 'recovered'));

-- Raises the farm's epoch above every one that any life of this database gave out. The time goes into it, because the same backup
-- may be restored twice, and sessions of the first time must not be taken for those of the second. Duties the same: a holder of the lost
-- time may not find an epoch of its own again.
create function vf_raise_epochs() returns bigint language plpgsql as $$
declare
  v_now_ms constant bigint := (extract(epoch from clock_timestamp()) * 1000)::bigint;
  v_epoch bigint;
begin
  update farm f set epoch = greatest(f.epoch + 1, v_now_ms) returning f.epoch into v_epoch;
  update duty d set epoch = greatest(d.epoch + 1, v_now_ms), until = clock_timestamp();
  -- Nothing is reaped until the new beat path has been proven for a full lease.
  delete from canary;
  return v_epoch;
end $$;

-- Ends every session and takes its attempts back, uncharged: who really runs them is not known any more.
create function vf_end_lost_time(fx jsonb, p_policy jsonb) returns jsonb language plpgsql as $$
declare
  v_attempt record;
begin
  update session set is_live = false, end_reason = 'recovered', ended_at = clock_timestamp(), is_idle = false where is_live;
  for v_attempt in select a.id, a.task_id, a.worker_name from attempt a where a.state = 'running' order by a.task_id loop
    fx := vf_note(fx, v_attempt.task_id, 'task.retried',
      jsonb_build_object('worker', v_attempt.worker_name, 'message', 'EPOCH_MISMATCH: the farm was restored'));
    fx := vf_free_attempt(fx, v_attempt.id, null, p_policy);
  end loop;
  return fx;
end $$;

-- A succeeded task that lacks outputs: runs again when open tasks take them or open renders hand them out, else is retired as
-- if it had been collected, so that whoever asks for it has it computed anew.
create function vf_lose_outputs(fx jsonb, p_task bigint, p_missing text[]) returns jsonb language plpgsql as $$
declare
  v_consumers constant bigint[] := array(
    select distinct t.id from task_input i join task_output o on o.task_id = i.producer_id and o.name = i.producer_output
    join task t on t.id = i.task_id and t.state in ('blocked', 'ready', 'delayed')
    where i.producer_id = p_task and o.sha256 = any (p_missing));
begin
  if cardinality(v_consumers) = 0 and not exists (
    select 1 from task_user u join task_output o on o.task_id = u.task_id and o.name = any (u.artifacts)
    where u.task_id = p_task and u.is_wanted and o.sha256 = any (p_missing)) then
    update task set is_retired = true where id = p_task;
    delete from task_output where task_id = p_task and sha256 = any (p_missing);
    return fx;
  end if;
  insert into task_user (task_id, render_id, position, label, artifacts)
  select distinct on (u.render_id) p_task, u.render_id, u.position, 'again', '{}'::text[]
  from task_user u where u.task_id = any (v_consumers) and u.is_wanted order by u.render_id, u.position
  on conflict (task_id, render_id) do update set is_wanted = true, is_reused = false;
  fx := vf_note(fx, p_task, 'task.retried', '{"message": "ARTIFACT_MISSING: its result was lost with the restore"}');
  return vf_reopen(fx, p_task, p_task, p_missing);
end $$;

-- What cannot be made again by itself, for people: {"uploads": [{tenant, sha256, jobs}], "results": [{job, position, artifact}]}; jobs: the open
-- ones that need the upload; results: handed out by renders that have ended; "models": [{name, version, chunks}]: versions that lack so many
-- chunks, also from before. At most p_limit of each, and how many there are. Index: model_chunk_sha256_idx.
create function vf_name_losses(p_missing text[], p_limit integer) returns jsonb language sql volatile as $$
  with uploads as materialized (
    select u.tenant_id, u.sha256, array(
      select distinct r.job_id from task_input i join task t on t.id = i.task_id and t.state in ('blocked', 'ready', 'running', 'delayed')
      join task_user w on w.task_id = t.id and w.is_wanted join render r on r.id = w.render_id
      join job j on j.id = r.job_id and j.tenant_id = u.tenant_id where i.upload_sha256 = u.sha256
      union select l.job_id from job_upload l join job j on j.id = l.job_id and j.state in ('queued', 'running')
      where l.tenant_id = u.tenant_id and l.sha256 = u.sha256 order by 1) as jobs
    from upload u where u.sha256 = any (p_missing)),
  results as materialized (
    select r.job_id, r.position, o.name from task_output o join task_user u on u.task_id = o.task_id and o.name = any (u.artifacts)
    join render r on r.id = u.render_id and r.state not in ('queued', 'running') where o.sha256 = any (p_missing)),
  models as materialized (
    select c.name, c.version, count(*) as chunks from model_chunk c join artifact a on a.sha256 = c.sha256
    join model_version v on v.name = c.name and v.version = c.version and v.state = 'ready'
    where not a.is_stored or a.sha256 = any (p_missing) group by c.name, c.version)
  select jsonb_build_object('uploadCount', (select count(*) from uploads), 'resultCount', (select count(*) from results),
    'modelCount', (select count(*) from models),
    'models', coalesce((select jsonb_agg(jsonb_build_object('name', m.name, 'version', m.version, 'chunks', m.chunks) order by m.name, m.version)
      from (select * from models order by name, version limit p_limit) m), '[]'),
    'uploads', coalesce((select jsonb_agg(jsonb_build_object('tenant', u.tenant_id, 'sha256', u.sha256, 'jobs', u.jobs) order by u.tenant_id, u.sha256)
      from (select * from uploads order by tenant_id, sha256 limit p_limit) u), '[]'),
    'results', coalesce((select jsonb_agg(jsonb_build_object('job', r.job_id, 'position', r.position, 'artifact', r.name)
      order by r.job_id, r.position, r.name) from (select * from results order by job_id, position, name limit p_limit) r), '[]'));
$$;

-- Makes a database that went back in time fit to go on with. p_missing: hashes that it takes for stored and the artifact store lacks.
-- Returns counts, and what was lost for good (vf_name_losses). Safe to call again.
create function vf_recover(p_missing text[], p_policy jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_sessions constant bigint := (select count(*) from session s where s.is_live);
  v_attempts constant bigint := (select count(*) from attempt a where a.state = 'running');
  v_epoch constant bigint := vf_raise_epochs();
  v_losses jsonb;
  v_task bigint;
  v_missing bigint;
  v_checkpoints bigint;
  v_uploads bigint;
  v_again bigint := 0;
  v_events bigint;
  v_sweep jsonb;
begin
  fx := vf_end_lost_time(fx, p_policy);
  v_losses := vf_name_losses(p_missing, 100);
  update artifact set is_stored = false where sha256 = any (p_missing) and is_stored;
  get diagnostics v_missing = row_count;
  delete from task_checkpoint where sha256 = any (p_missing);
  get diagnostics v_checkpoints = row_count;
  -- Its client begins anew.
  delete from resumable_upload where id in (select p.upload_id from upload_part p where p.sha256 = any (p_missing));
  get diagnostics v_uploads = row_count;
  for v_task in
    select t.id from task t where t.state = 'succeeded' and t.id in (select o.task_id from task_output o where o.sha256 = any (p_missing))
    order by t.id for no key update
  loop
    fx := vf_lose_outputs(fx, v_task, p_missing);
    v_again := v_again + (select count(*) from task t where t.id = v_task and t.state <> 'succeeded');
  end loop;
  perform vf_flush(fx);
  v_sweep := vf_sweep(vf_hold_duty('sweep', 'vapfarm recover', 3600000), p_policy);
  update duty set until = clock_timestamp() where name = 'sweep';
  -- The copy of the log may be ahead of it: it is made anew (coordinator/duties/relay.ts), from all rows that are kept.
  update job set sent_event = 0 where sent_event > 0 and not is_pruned;
  select count(*) into v_events from job j join event e on e.job_id = j.id where j.has_unsent;
  return jsonb_build_object('epoch', v_epoch, 'sessions', v_sessions, 'attempts', v_attempts, 'missing', v_missing,
    'checkpoints', v_checkpoints, 'partialUploads', v_uploads, 'tasksAgain', v_again, 'events', v_events,
    'repaired', v_sweep -> 'repaired', 'losses', v_losses);
end $$;
