-- Benchmarks: suites of rows that never change, runs of them (jobs), what their sets come to, results of others, votes.

-- Named by the content of its rows: the same rows are the same suite.
create table suite (
  tenant_id text not null references tenant on delete restrict on update restrict,
  id text not null check (id ~ '^[0-9a-f]{64}$'),
  name text not null check (char_length(name) between 1 and 100),
  row_count integer not null check (row_count > 0),
  -- Rows by semantic condition, by name: [{kind, rows}].
  kinds jsonb not null,
  created_at timestamptz(6) not null default clock_timestamp(),
  primary key (tenant_id, id)
);

create table suite_row (
  tenant_id text not null,
  suite_id text not null,
  position integer not null check (position >= 0),
  line integer not null,
  target_sha256 text not null,
  reference_sha256s text[] not null check (cardinality(reference_sha256s) between 1 and 3),
  caption text not null,
  reference_captions text[] not null check (cardinality(reference_captions) = cardinality(reference_sha256s)),
  kind text not null,
  seed bigint not null check (seed >= 0),
  target_path text not null,
  reference_paths text[] not null check (cardinality(reference_paths) = cardinality(reference_sha256s)),
  primary key (tenant_id, suite_id, position),
  foreign key (tenant_id, suite_id) references suite on delete cascade on update restrict
);

-- Media of a suite are kept as long as it is.
create table suite_upload (
  tenant_id text not null,
  suite_id text not null,
  sha256 text not null,
  primary key (tenant_id, suite_id, sha256),
  foreign key (tenant_id, suite_id) references suite on delete cascade on update restrict,
  foreign key (tenant_id, sha256) references upload on delete restrict on update restrict
);
create index suite_upload_sha256_idx on suite_upload (tenant_id, sha256);

create table bench_run (
  job_id text primary key references job on delete cascade on update restrict,
  tenant_id text not null,
  suite_id text not null,
  label text not null,
  model text not null,
  model_digest text not null,
  has_trained_weights boolean not null,
  metrics_model text not null,
  has_trained_metrics boolean not null,
  metrics text[] not null,
  seeds integer not null check (seeds between 1 and 100),
  panels boolean not null,
  steps integer not null,
  guidance_scale double precision not null,
  settings_digest text not null,
  -- End of the job that its set scores are of; null: none are stored.
  scored_end timestamptz(6),
  foreign key (tenant_id, suite_id) references suite on delete restrict on update restrict
);
create index bench_run_suite_idx on bench_run (tenant_id, suite_id);

-- Which row and seed a render of a run is of.
create table bench_item (
  job_id text not null references bench_run on delete cascade on update restrict,
  position integer not null,
  row_position integer not null,
  seed_index integer not null,
  primary key (job_id, position)
);

-- What the clips of a run that has ended come to; idempotent.
create table set_score (
  job_id text not null references bench_run on delete cascade on update restrict,
  metric text not null,
  aggregator text not null check (aggregator in ('video_mean', 'frame_weighted')),
  value double precision check (value > '-infinity' and value < 'infinity'),
  count integer not null,
  missing_count integer not null,
  primary key (job_id, metric, aggregator)
);

-- Values of clips on one scale: imaging quality is 0..100 as VBench writes it for a clip, and 0..1 for a set.
create view metric_value_normalized as
  select v.*, case v.metric when 'imaging_quality' then v.value / 100 else v.value end as normalized from metric_value v;

-- Files of others, verbatim.
create table imported_results (
  tenant_id text not null references tenant on delete restrict on update restrict,
  name text not null check (char_length(name) between 1 and 100),
  sha256 text not null,
  body text not null,
  -- What was read of it at the import: {dimensions, remarks}.
  summary jsonb not null,
  imported_at timestamptz(6) not null default clock_timestamp(),
  primary key (tenant_id, name)
);

create table preference_vote (
  tenant_id text not null references tenant on delete restrict on update restrict,
  name text not null check (char_length(name) between 1 and 100),
  voter text not null,
  trial text not null,
  question text not null check (question in ('alignment', 'quality')),
  methods text[] not null,
  choice text not null check (choice = any (methods)),
  primary key (tenant_id, name, voter, trial, question)
);

-- Suites -------------------------------------------------------------------------------------------------------------

-- A suite is stored in one transaction of several statements: its row, vf_add_suite_rows for each part, vf_finish_suite.
create function vf_add_suite_rows(p_tenant text, p_suite text, p_rows jsonb) returns void language sql volatile as $$
  insert into suite_row (tenant_id, suite_id, position, line, target_sha256, reference_sha256s, caption, reference_captions, kind, seed,
    target_path, reference_paths)
  select p_tenant, p_suite, r.position, r.line, r."targetSha256", r."referenceSha256s", r.caption, r."referenceCaptions", r.kind,
    r.seed::bigint, r."targetPath", r."referencePaths"
  from jsonb_to_recordset(p_rows) as r(position integer, line integer, "targetSha256" text, "referenceSha256s" text[], caption text,
    "referenceCaptions" text[], kind text, seed text, "targetPath" text, "referencePaths" text[]);
$$;

-- Takes the uploads of a suite's rows into its keeping. Result: [] or the hashes of those that are missing, and then nothing may be committed. One
-- that is lost meanwhile is a lost race: the transaction that is run again says so. Locks: artifacts and uploads by hash.
create function vf_finish_suite(p_tenant text, p_suite text) returns jsonb language plpgsql as $$
declare
  v_uploads constant jsonb := (
    select jsonb_agg(distinct named.sha256) from suite_row r
    cross join lateral (select r.target_sha256 as sha256 union all select unnest(r.reference_sha256s)) named
    where r.tenant_id = p_tenant and r.suite_id = p_suite);
  v_missing constant jsonb := vf_missing_uploads(p_tenant, v_uploads);
  v_count integer;
begin
  if v_missing <> '[]' then return v_missing; end if;
  perform vf_keep_uploads(p_tenant, v_uploads);
  insert into suite_upload (tenant_id, suite_id, sha256)
  select k.tenant_id, p_suite, k.sha256 from (
    select u.tenant_id, u.sha256 from upload u
    where u.tenant_id = p_tenant and u.sha256 in (select jsonb_array_elements_text(v_uploads)) order by u.sha256 for key share) k;
  get diagnostics v_count = row_count;
  if v_count < jsonb_array_length(v_uploads) then raise exception 'an upload was lost' using errcode = 'serialization_failure'; end if;
  return '[]';
end $$;

-- Runs ---------------------------------------------------------------------------------------------------------------

-- Makes a job that was stored in this transaction the run of a suite: with p_run.seeds renders for each of p_run.rows (positions), row by row.
create function vf_store_run(p_job text, p_run jsonb) returns void language plpgsql as $$
declare
  v_seeds constant integer := (p_run ->> 'seeds')::integer;
begin
  insert into bench_run (job_id, tenant_id, suite_id, label, model, model_digest, has_trained_weights, metrics_model, has_trained_metrics,
    metrics, seeds, panels, steps, guidance_scale, settings_digest)
  select j.id, j.tenant_id, p_run ->> 'suiteId', p_run ->> 'label', p_run ->> 'model', p_run ->> 'modelDigest',
    (p_run ->> 'hasTrainedWeights')::boolean, p_run ->> 'metricsModel', (p_run ->> 'hasTrainedMetrics')::boolean,
    array(select jsonb_array_elements_text(p_run -> 'metrics')), v_seeds, (p_run ->> 'panels')::boolean, (p_run ->> 'steps')::integer,
    (p_run ->> 'guidanceScale')::double precision, p_run ->> 'settingsDigest'
  from job j where j.id = p_job;
  insert into bench_item (job_id, position, row_position, seed_index)
  select p_job, (r.ord - 1) * v_seeds + s.index, r.value::integer, s.index
  from jsonb_array_elements_text(p_run -> 'rows') with ordinality r(value, ord) cross join generate_series(0, v_seeds - 1) s(index);
end $$;

-- Ends the storing of a manifest: takes its uploads into the job's keeping, those of panels too, and opens it.
create or replace function vf_finish_manifest(p_job text) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_tenant constant text := (select j.tenant_id from job j where j.id = p_job);
  v_uploads constant jsonb := coalesce((
    select jsonb_agg(distinct named.sha256) from render r cross join lateral (
      select r.spec #>> '{image,sha256}' as sha256
      union all select r.spec #>> '{target,sha256}' where r.spec ? 'target'
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

-- Retention ----------------------------------------------------------------------------------------------------------

-- Attempts that ended before, of tasks that are over; not what a benchmark run was computed by, whose seconds are among its results.
create or replace function vf_prune_attempts(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with attempts as (
    delete from attempt where id in (
      select a.id from attempt a join task t on t.id = a.task_id
      where a.ended_at < p_before and t.state in ('succeeded', 'failed', 'cancelled')
        and not (a.state = 'succeeded' and exists (
          select 1 from task_user u join render r on r.id = u.render_id join bench_run b on b.job_id = r.job_id where u.task_id = t.id))
      order by a.task_id, a.number limit p_limit)
    returning 1)
  select count(*)::integer from attempts;
$$;

-- Takes jobs that ended before out of everybody's sight, the longest ended first. Not one that is to be told of still (events, a webhook), and
-- not a benchmark run: numbers are compared with those of years ago. Index: job_keep_idx.
create or replace function vf_remove_jobs(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with removed as (
    update job set removed_at = clock_timestamp(), idempotency_key = null
    where id in (
      select j.id from job j where j.ended_at < p_before and j.removed_at is null and not j.has_unsent
        and not exists (select 1 from bench_run b where b.job_id = j.id)
        and not exists (select 1 from webhook_delivery d where d.job_id = j.id and d.next_try_at is not null)
      order by j.ended_at limit p_limit for no key update skip locked)
    returning 1)
  select count(*)::integer from removed;
$$;

-- Ended tasks that no render uses any more: those that are retired or failed or have no results left go, with attempts and inputs. Not what
-- another task takes an output of. One that stays is looked at again later. Returns how many went. Index: task_unused_idx.
create or replace function vf_prune_tasks(p_before timestamptz, p_limit integer) returns integer language plpgsql as $$
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
      and (t.is_retired or t.state <> 'succeeded' or not exists (select 1 from task_output o where o.task_id = t.id)));
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

-- Uploads that were handed in before (or again) and that no kept job starts from and no suite is made of. Their bytes are collected then.
-- Indexes: upload_created_idx, job_upload_sha256_idx, suite_upload_sha256_idx.
create or replace function vf_prune_media(p_before timestamptz, p_limit integer) returns integer language sql volatile as $$
  with gone as (
    delete from upload where (tenant_id, sha256) in (
      select u.tenant_id, u.sha256 from upload u
      where u.created_at < p_before
        and not exists (select 1 from job_upload l where l.tenant_id = u.tenant_id and l.sha256 = u.sha256)
        and not exists (select 1 from suite_upload l where l.tenant_id = u.tenant_id and l.sha256 = u.sha256)
        and not exists (select 1 from resumable_upload r where r.tenant_id = u.tenant_id and r.finished_sha256 = u.sha256)
      order by u.created_at limit p_limit for update skip locked)
    returning 1)
  select count(*)::integer from gone;
$$;
