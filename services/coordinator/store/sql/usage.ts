/**
 * The books, added up.
 *
 * An attempt's result was used when it was reported in time and is not known to have failed; attempts that are pruned no longer tell.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/**
 * $1: tenant or null, $2: from, $3: until, $4: keys, $5: job or null, $6: most rows.
 * Result: the sums, the most expensive first, then the total as the row whose keys are null. Indexes: usage_at_idx, usage_task_id_idx.
 */
export const sumUsageStatement: NamedStatement = {
  name: "vf_sum_usage",
  text: `with entry as (
      select case when 'tenant' = any ($4::text[]) then u.tenant_id end as tenant, case when 'stage' = any ($4) then u.stage end as stage,
        case when 'worker' = any ($4) then u.worker_id end as worker, case when 'outcome' = any ($4) then u.disposition end as outcome,
        case when 'day' = any ($4) then to_char(u.at at time zone 'UTC', 'YYYY-MM-DD') end as day,
        u.device_ms, u.load_ms, u.compute_ms, u.fetch_ms, u.finish_ms,
        case when u.disposition <> 'committed' or a.state <> 'succeeded' then u.device_ms else 0 end as wasted_ms
      from usage u left join attempt a on a.id = u.attempt_id
      where u.at >= $2 and u.at < $3 and ($1::text is null or u.tenant_id = $1)
        and ($5::text is null or u.task_id in (
          select s.task_id from task_user s join render r on r.id = s.render_id where r.job_id = $5
          union select s.task_id from former_use s join render r on r.id = s.render_id where r.job_id = $5))),
    summed as (
      select tenant, stage, worker, outcome, day, count(*) as attempts, sum(device_ms) as device_ms, sum(load_ms) as load_ms,
        sum(compute_ms) as compute_ms, sum(fetch_ms) as fetch_ms, sum(finish_ms) as finish_ms, sum(wasted_ms) as wasted_ms
      from entry group by tenant, stage, worker, outcome, day),
    shown as (select * from summed order by device_ms desc, tenant, stage, worker, outcome, day limit $6)
    select jsonb_build_object('tenant', tenant, 'stage', stage, 'worker', worker, 'outcome', outcome, 'day', day) as keys,
      attempts::double precision as attempts, device_ms, load_ms, compute_ms, fetch_ms, finish_ms, wasted_ms
    from shown
    union all
    select null, coalesce(sum(attempts), 0)::double precision, coalesce(sum(device_ms), 0), coalesce(sum(load_ms), 0),
      coalesce(sum(compute_ms), 0), coalesce(sum(fetch_ms), 0), coalesce(sum(finish_ms), 0), coalesce(sum(wasted_ms), 0)
    from summed`,
};
