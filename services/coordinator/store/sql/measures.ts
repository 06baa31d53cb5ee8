/**
 * What metrics show of the queue, the workers and the benchmarks.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** Reads all that is ready, once: a quarter of a second for a million (test/bench/scrape.ts). Then one look-up of times for each shape. */
export const readyMeasuresStatement: NamedStatement = {
  name: "vf_ready_measures",
  text: `with lane as materialized (
      select q.pool, q.shape, q.class_rank, count(*) as tasks, min(q.ready_at) as ready_at from ready q group by q.pool, q.shape, q.class_rank),
    expected as materialized (select s.shape, vf_expected_ms(s.shape) as ms from (select distinct lane.shape from lane) s)
    select l.pool, case l.class_rank when 0 then 'production' else 'benchmark' end as "jobClass", sum(l.tasks)::integer as count,
      sum(l.tasks * e.ms)::double precision as "deviceMs",
      greatest(0, extract(epoch from clock_timestamp() - min(l.ready_at)) * 1000)::double precision as "oldestMs"
    from lane l join expected e on e.shape = l.shape group by l.pool, l.class_rank`,
};

/** Index: job_open_idx. */
export const jobMeasuresStatement: NamedStatement = {
  name: "vf_job_measures",
  text: `select j.job_class as "jobClass", j.state, count(*)::integer as count from job j
    where j.state in ('queued', 'running') group by j.job_class, j.state`,
};

/** Of each worker its newest session. Indexes: primary keys, attempt_session_running_idx. */
export const fleetMeasuresStatement: NamedStatement = {
  name: "vf_fleet_measures",
  text: `select f.pool, f.state, count(*)::integer as count from (
      select w.pool, case
        when not s.is_live or s.lease_until <= clock_timestamp() then 'lapsed'
        when c.worker_id is not null and not (c.is_drained and r.runs) then 'cordoned'
        when c.worker_id is not null then 'draining'
        when r.runs then 'busy'
        else 'idle' end as state
      from worker w join session s on s.id = w.session_id left join cordon c on c.worker_id = w.id
      cross join lateral (
        select exists (select 1 from attempt a where a.session_id = s.id and a.state = 'running') as runs) r
      where (s.is_live or s.end_reason = 'lapsed') and s.lease_until > clock_timestamp() - interval '1 hour') f
    group by f.pool, f.state`,
};

/**
 * $1: most. Of each suite and model five settings, those that ended last. A suite is the same for all who have imported the same rows under the same
 * name. Reads all runs: thousands. Index: set_score_pkey.
 */
export const newestScoresStatement: NamedStatement = {
  name: "vf_newest_scores",
  text: `with newest as (
      select distinct on (s.name, b.suite_id, b.model, d.settings) b.job_id, b.suite_id, b.model, s.name, d.settings, j.ended_at
      from bench_run b join job j on j.id = b.job_id join suite s on s.tenant_id = b.tenant_id and s.id = b.suite_id
      cross join lateral (select format('steps %s, guidance %s, seeds %s', b.steps, b.guidance_scale, b.seeds) as settings) d
      where j.state in ('succeeded', 'failed') and j.removed_at is null and b.scored_end = j.ended_at
      order by s.name, b.suite_id, b.model, d.settings, j.ended_at desc, j.id),
    few as (
      select * from (
        select n.*, row_number() over (partition by n.name, n.suite_id, n.model order by n.ended_at desc, n.job_id) as nth from newest n) r
      where r.nth <= 5)
    select left(n.name, 60) || ' ' || left(n.suite_id, 8) as suite, n.model, n.settings, n.ended_at as "endedAt", coalesce((
        select jsonb_agg(jsonb_build_object('metric', c.metric, 'aggregator', c.aggregator, 'value', c.value) order by c.metric, c.aggregator)
        from set_score c where c.job_id = n.job_id and c.value is not null), '[]') as scores
    from few n order by n.ended_at desc, n.job_id limit $1`,
};
