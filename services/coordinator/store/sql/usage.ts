/**
 * The ledger, added up.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/**
 * $1: tenant or null, $2: from, $3: until, $4: keys, $5: job or null, $6: most rows.
 * Result: the sums, the most expensive first, then the total as the row whose keys are null; times in ms, money as text in nanos, and the
 * farm's currency. What a sum of a job takes is its share. Indexes: usage_entry_at_idx; for a job usage_task_id_idx and
 * usage_entry_attempt_id_idx.
 */
export const sumUsageStatement: NamedStatement = {
  name: "vf_sum_usage",
  text: `with entry as (
      select case when 'tenant' = any ($4::text[]) then e.tenant_id end as tenant, case when 'stage' = any ($4) then e.stage end as stage,
        case when 'worker' = any ($4) then e.worker_id end as worker, case when 'outcome' = any ($4) then e.outcome end as outcome,
        case when 'day' = any ($4) then to_char(e.at at time zone 'UTC', 'YYYY-MM-DD') end as day,
        case when 'job' = any ($4) then e.job_id end as job, case when 'pool' = any ($4) then e.pool end as pool,
        e.counter, e.amount, e.outcome <> 'committed' as is_wasted
      from usage_entry e
      where e.at >= $2 and e.at < $3 and ($1::text is null or e.tenant_id = $1)
        and ($5::text is null or (e.job_id = $5 and e.attempt_id in (
          select u.attempt_id from usage u where u.task_id in (
            select s.task_id from task_user s join render r on r.id = s.render_id where r.job_id = $5
            union select s.task_id from former_use s join render r on r.id = s.render_id where r.job_id = $5))))),
    summed as (
      select tenant, stage, worker, outcome, day, job, pool, coalesce(sum(amount) filter (where counter = 'attempts'), 0) as attempts,
        coalesce(sum(amount) filter (where counter = 'device_us'), 0) as device_sum, coalesce(sum(amount) filter (where counter = 'load_us'), 0) as load_sum,
        coalesce(sum(amount) filter (where counter = 'compute_us'), 0) as compute_sum,
        coalesce(sum(amount) filter (where counter = 'fetch_us'), 0) as fetch_sum,
        coalesce(sum(amount) filter (where counter = 'finish_us'), 0) as finish_sum,
        coalesce(sum(amount) filter (where counter = 'device_us' and is_wasted), 0) as wasted_sum,
        coalesce(sum(amount) filter (where counter = 'cost_nanos'), 0) as cost_sum
      from entry group by tenant, stage, worker, outcome, day, job, pool),
    shown as (
      select * from summed where (attempts, device_sum, load_sum, compute_sum, fetch_sum, finish_sum, cost_sum) <> (0, 0, 0, 0, 0, 0, 0)
      order by device_sum desc, tenant, stage, worker, outcome, day, job, pool limit $6),
    rows as (
      select jsonb_build_object('tenant', tenant, 'stage', stage, 'worker', worker, 'outcome', outcome, 'day', day, 'job', job, 'pool', pool) as keys,
        attempts, device_sum, load_sum, compute_sum, fetch_sum, finish_sum, wasted_sum, cost_sum
      from shown
      union all
      select null, coalesce(sum(attempts), 0), coalesce(sum(device_sum), 0), coalesce(sum(load_sum), 0), coalesce(sum(compute_sum), 0),
        coalesce(sum(fetch_sum), 0), coalesce(sum(finish_sum), 0), coalesce(sum(wasted_sum), 0), coalesce(sum(cost_sum), 0)
      from summed)
    select r.keys, r.attempts::double precision, r.device_sum::double precision / 1000 as device_ms, r.load_sum::double precision / 1000 as load_ms,
      r.compute_sum::double precision / 1000 as compute_ms, r.fetch_sum::double precision / 1000 as fetch_ms,
      r.finish_sum::double precision / 1000 as finish_ms, r.wasted_sum::double precision / 1000 as wasted_ms, r.cost_sum::text as cost_nanos,
      coalesce(f.currency, '') as currency
    from rows r cross join farm f`,
};
