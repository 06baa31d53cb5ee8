-- The role as which Grafana reads a farm's database: what dashboards show and nothing else. Prompts, uploads, webhook secrets, signing keys, the
-- runtimes' log lines and idempotency keys are not granted. Run as the owner of the tables, in the farm's database, after each migration.
-- Then give it a password of its own: alter role vapfarm_grafana login password '…'.

do $$
begin
  if not exists (select from pg_roles where rolname = 'vapfarm_grafana') then create role vapfarm_grafana nologin; end if;
end $$;

-- A panel that asks too much is ended before it is in the farm's way, and nothing is written.
alter role vapfarm_grafana set default_transaction_read_only = on;
alter role vapfarm_grafana set statement_timeout = '10s';
alter role vapfarm_grafana set idle_in_transaction_session_timeout = '10s';
alter role vapfarm_grafana connection limit 8;

grant usage on schema public to vapfarm_grafana;
grant select (id) on tenant to vapfarm_grafana;
grant select (id, tenant_id, job_class, priority, deadline, state, created_at, ended_at, removed_at, failure_code, render_total, render_queued,
  render_running, render_succeeded, render_failed) on job to vapfarm_grafana;
grant select (id, job_id, position, state, ended_at, failure_code, failure_stage, pool) on render to vapfarm_grafana;
grant select (task_id, render_id, label, is_reused) on task_user to vapfarm_grafana;
grant select (id, tenant_id, stage, pool, state, inputs_missing, attempt_count, failure_code, created_at, ended_at) on task to vapfarm_grafana;
grant select (task_id, producer_id) on task_input to vapfarm_grafana;
grant select (task_id, tenant_id, pool, ready_at) on ready to vapfarm_grafana;
grant select (task_id, number, worker_name, state, started_at, began_at, ended_at, error_code, error_message, compute_ms, load_ms, device_ms)
  on attempt to vapfarm_grafana;
grant select (job_id, number, at, kind, stage, worker_name, message, render_position) on event to vapfarm_grafana;
grant select (task_id, reason, opened_at, made_way_at, outcome) on preemption to vapfarm_grafana;
grant select (tenant_id, pool, counter, amount, outcome, at) on usage_entry to vapfarm_grafana;
grant select (job_id, device_us) on job_usage to vapfarm_grafana;
grant select (tenant_id, job_id, unit, period, allowed, action, level) on budget to vapfarm_grafana;
grant select (tenant_id, id, name) on suite to vapfarm_grafana;
grant select (job_id, tenant_id, suite_id, label, model, model_digest, settings_digest, steps, guidance_scale, seeds, has_trained_weights,
  has_trained_metrics) on bench_run to vapfarm_grafana;
grant select on set_score to vapfarm_grafana;
grant select (task_id, value_id, decode_ms) on task_score to vapfarm_grafana;
grant select (id, metric, status, value, reason, frames) on metric_value to vapfarm_grafana;
grant select (id, metric, normalized) on metric_value_normalized to vapfarm_grafana;
