-- Benchmarks: suites of rows that never change, runs of them (jobs), what their sets come to, results of others, votes.

-- Named by the content of its rows: the same rows are the same suite.
create table suite (
  tenant_id text not null references tenant on delete restrict on update restrict,
  id text not null check (id ~ '^[0-9a-f]{64}$'),
  name text not null check (char_length(name) between 1 and 100),
  row_count integer not null check (row_count > 0),
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

-- Files of others, verbatim.
create table imported_results (
  tenant_id text not null references tenant on delete restrict on update restrict,
  name text not null check (char_length(name) between 1 and 100),
  sha256 text not null,
  body text not null,
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
