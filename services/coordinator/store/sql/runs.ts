/**
 * Runs of suites as lists show them, and the statement that makes a job one; a removed job is nobody's run.
 *
 * Indexes: bench_run_pkey, bench_run_suite_idx, render_job_id_position_key, task_user_render_id_idx.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: a job that was stored in this transaction, $2: RunToStore. */
export const storeRunStatement: NamedStatement = { name: "vf_store_run", text: "select vf_store_run($1, $2::jsonb)::text as result" };

/** Scores that have ended: all of a render that has, those of the tasks of one that is open. */
const columns = `b.*, s.name as suite_name, j.id, j.state, j.reuse, j.created_at, j.ended_at, j.render_total, j.render_queued, j.render_running,
  j.render_succeeded, j.render_failed, j.render_cancelled, (extract(epoch from j.created_at) * 1000000)::bigint::text as created_at_us,
  (j.render_succeeded + j.render_failed + j.render_cancelled) * cardinality(b.metrics) + case when j.ended_at is null then (
    select count(*)::integer from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id
    where r.job_id = j.id and r.state in ('queued', 'running') and not r.is_waiting and vf_is_score(t.stage)
      and t.state in ('succeeded', 'failed', 'cancelled')) else 0 end as ended_scores`;

const joins = `bench_run b join job j on j.id = b.job_id join suite s on s.tenant_id = b.tenant_id and s.id = b.suite_id`;

/** $1: tenant, null: anyone's; $2: how the id begins; $3: most. */
export const findRunsStatement: NamedStatement = {
  name: "vf_find_runs",
  text: `select ${columns} from ${joins}
    where j.removed_at is null and ($1::text is null or b.tenant_id = $1) and starts_with(b.job_id, $2)
    order by j.created_at desc, j.id desc limit $3`,
};

/** $1: tenant, $2: suite or null, $3: microseconds or null, $4: id: those after it, the newest first; $5: most. */
export const listRunsStatement: NamedStatement = {
  name: "vf_list_runs",
  text: `select ${columns} from ${joins}
    where j.removed_at is null and b.tenant_id = $1 and ($2::text is null or b.suite_id = $2) and ($3::bigint is null
      or (j.created_at, j.id) < (timestamptz 'epoch' + $3::bigint * interval '1 microsecond', $4::text))
    order by j.created_at desc, j.id desc limit $5`,
};

const seriesOf = `(select coalesce(jsonb_agg(jsonb_build_object('name', e.name, 'values', to_jsonb(e."values")) order by e.name), '[]')
  from metric_series e where e.value_id = v.id)`;

/**
 * $1: run, $2: after this position or null, $3: most, $4: with series. Of each render its row, its score tasks with their values, the hash of its
 * mp4, and what its tasks' successful attempts took, by stage.
 */
export const runItemsStatement: NamedStatement = {
  name: "vf_run_items",
  text: `select i.position as render_position, i.seed_index, r.spec ->> 'seed' as render_seed, r.state, r.failure_code, r.failure_message,
      r.failure_stage, s.*, video.sha256 as video_sha256, scores.list as scores, stages.list as stages
    from (select * from bench_item i where i.job_id = $1 and i.position > coalesce($2::integer, -1) order by i.position limit $3) i
    join bench_run b on b.job_id = i.job_id
    join render r on r.job_id = i.job_id and r.position = i.position
    join suite_row s on s.tenant_id = b.tenant_id and s.suite_id = b.suite_id and s.position = i.row_position
    left join lateral (
      select o.sha256 from task_user u join task t on t.id = u.task_id join task_output o on o.task_id = t.id
      where u.render_id = r.id and t.stage = 'vae_decode' and o.name = 'mp4' limit 1) video on true
    cross join lateral (
      select coalesce(jsonb_agg(jsonb_build_object('metric', substr(t.stage, 7), 'state', t.state, 'failureCode', t.failure_code,
        'failureMessage', t.failure_message, 'value', case when v.id is not null then jsonb_build_object('status', v.status,
          'value', v.value, 'reason', v.reason, 'vbenchValue', v.vbench_value, 'metricVersion', v.metric_version, 'variant', v.variant,
          'modelDigest', v.model_digest, 'decodeProfile', v.decode_profile, 'frames', v.frames, 'fpsNumerator', v.fps_numerator,
          'fpsDenominator', v.fps_denominator, 'width', v.width, 'height', v.height, 'extra', v.extra,
          'series', case when $4::boolean then ${seriesOf} else '[]' end) end) order by t.stage), '[]') as list
      from task_user u join task t on t.id = u.task_id left join task_score k on k.task_id = t.id left join metric_value v on v.id = k.value_id
      where u.render_id = r.id and vf_is_score(t.stage)) scores
    cross join lateral (
      select coalesce(jsonb_agg(to_jsonb(g) order by g.stage, g."isReused"), '[]') as list from (
        select t.stage, u.is_reused as "isReused", sum(a.compute_ms) as "computeMs", sum(a.load_ms) as "loadMs"
        from task_user u join task t on t.id = u.task_id join attempt a on a.task_id = t.id and a.state = 'succeeded'
        where u.render_id = r.id group by t.stage, u.is_reused) g) stages
    order by i.position`,
};

const fact = (
  name: string,
): string => `array_agg(case when jsonb_typeof(c.extra -> '${name}') = 'number' then (c.extra ->> '${name}')::double precision end
  order by c.position) filter (where c.value is not null)`;

/** $1: run. Of every score of its clips that has ended: the values and what was told with them, by metric. A render that failed has no clip. */
export const clipScoresStatement: NamedStatement = {
  name: "vf_clip_scores",
  text: `select c.metric, (count(*) filter (where c.value is null))::integer as missing,
      coalesce(array_agg(c.value order by c.position) filter (where c.value is not null), '{}') as "values",
      json_build_object('cnt_per_video', ${fact("cnt_per_video")}, 'video_sim', ${fact("video_sim")}, 'pairs', ${fact("pairs")},
        'frames', ${fact("frames")}) as facts
    from (
      select r.position, substr(t.stage, 7) as metric, v.value, v.extra
      from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id
      left join task_score k on k.task_id = t.id left join metric_value v on v.id = k.value_id
      where r.job_id = $1 and vf_is_score(t.stage)
        and (v.id is not null or t.state = 'failed' or (t.state in ('succeeded', 'cancelled') and r.state = 'succeeded'))) c
    group by c.metric order by c.metric`,
};

/**
 * $1: run, $2: [{metric, aggregator, value, count, missingCount}], $3: the end that they are of, in ms. Nothing where the job has not this end (any
 * more). Locks: the run.
 */
export const storeSetScoresStatement: NamedStatement = {
  name: "vf_store_set_scores",
  text: `with ended as (
      update bench_run b set scored_end = j.ended_at from job j
      where b.job_id = $1 and j.id = b.job_id and j.removed_at is null and date_trunc('milliseconds', j.ended_at) = $3::timestamptz
      returning b.job_id)
    insert into set_score (job_id, metric, aggregator, value, count, missing_count)
    select e.job_id, x.metric, x.aggregator, x.value, x.count, x."missingCount" from ended e
    cross join jsonb_to_recordset($2::jsonb) as x(metric text, aggregator text, value double precision, count integer, "missingCount" integer)
    on conflict (job_id, metric, aggregator)
      do update set value = excluded.value, count = excluded.count, missing_count = excluded.missing_count`,
};

/** $1: most. Runs with metrics that ended and whose set scores are not of this end, the first that ended first. Reads all runs: thousands. */
export const unscoredRunsStatement: NamedStatement = {
  name: "vf_unscored_runs",
  text: `select b.job_id as "runId", j.ended_at as "endedAt", b.metrics from bench_run b join job j on j.id = b.job_id
    where j.ended_at is not null and j.removed_at is null and b.scored_end is distinct from j.ended_at and cardinality(b.metrics) > 0
    order by j.ended_at, j.id limit $1`,
};

/** Those of runs that are open again. Locks: the runs. */
export const dropStaleSetScoresStatement: NamedStatement = {
  name: "vf_drop_stale_set_scores",
  text: `with reopened as (
      update bench_run b set scored_end = null from job j
      where j.id = b.job_id and b.scored_end is not null and j.ended_at is null returning b.job_id)
    delete from set_score s using reopened r where s.job_id = r.job_id`,
};
