/**
 * Prices, budgets, and the totals that they are judged by; the functions are in the migration that makes them, with their locks and indexes.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: pool, $2: {nanosPerHour, currency, validFrom?}, $3: by. Result: {kind: set, validFrom} | {kind: past} | {kind: currency, currency}. */
export const setPriceStatement: NamedStatement = { name: "vf_set_price", text: "select vf_set_price($1, $2::jsonb, $3) as result" };

/** By pool, the latest first. */
export const listPricesStatement: NamedStatement = {
  name: "vf_list_prices",
  text: `select p.pool, p.valid_from, p.nanos_per_hour, p.set_by, p.set_at, f.currency from pool_price p cross join farm f
    order by p.pool, p.valid_from desc`,
};

/** $1: {tenant, jobId?, unit, period, allowed, currency, action, reason}, $2: by. Result: {kind: set, id} | {kind: currency, currency} | {kind: unknown}. */
export const setBudgetStatement: NamedStatement = { name: "vf_set_budget", text: "select vf_set_budget($1::jsonb, $2) as result" };

/** $1: tenant, null with a job, $2: job or null, $3: unit, $4: period. Result: a row when there was one. What it stopped, the duty lets go on. */
export const deleteBudgetStatement: NamedStatement = {
  name: "vf_delete_budget",
  text: `delete from budget where ($1::text is null or tenant_id = $1) and job_id is not distinct from $2 and unit = $3 and period = $4
    returning id`,
};

/** $1: epoch, $2: most bookings. Result: how many were added to the totals. */
export const totalUsageStatement: NamedStatement = { name: "vf_total_usage", text: "select vf_total_usage($1, $2) as result" };

/** $1: epoch, $2: BudgetDecision of domain/budget. Result: the aftermath. */
export const applyBudgetsStatement: NamedStatement = {
  name: "vf_apply_budgets",
  text: "select vf_apply_budgets($1, $2::jsonb) as result",
};

/**
 * $1: tenant or null, $2: id or null, $3: most open jobs of a budget that cancels. Result: the budgets with what is spent: the totals, what
 * is not yet in them, and what running attempts have spent so far, at today's split. One snapshot: an attempt that ends is in one of them. Indexes: attempt_running_key, job_usage_pkey, usage_total_pkey, job_open_idx.
 */
export const budgetsStatement: NamedStatement = {
  name: "vf_budgets",
  text: `with running as materialized (
      select a.task_id, t.tenant_id, s.us as device_us, vf_cost_nanos(t.pool, coalesce(a.began_at, a.started_at), s.us) as cost_nanos
      from attempt a join task t on t.id = a.task_id cross join lateral (select vf_microseconds(a.device_ms) as us) s
      where a.state = 'running' and a.device_ms > 0),
    this as (select date_trunc('month', clock_timestamp() at time zone 'UTC')::date as month)
    select b.id, b.version, b.tenant_id, b.job_id, b.unit, b.period, b.allowed, b.action, b.reason, b.set_by, b.set_at, b.level,
      b.level_month::text, coalesce(f.currency, '') as currency,
      round(coalesce(case b.unit when 'money' then booked.cost_nanos + now.cost_nanos else booked.device_us + now.device_us end, 0))::text as spent,
      case when b.job_id is not null or b.action = 'cancel' then array(
        select j.id from job j where j.state in ('queued', 'running')
          and case when b.job_id is null then j.tenant_id = b.tenant_id else j.id = b.job_id end
        order by j.created_at, j.id limit $3) else '{}' end as open_jobs
    from budget b cross join farm f cross join this
    cross join lateral (
      select coalesce(sum(s.device_us), 0) as device_us, coalesce(sum(s.cost_nanos), 0) as cost_nanos from (
        select o.device_us, o.cost_nanos from usage_total o
        where b.job_id is null and o.tenant_id = b.tenant_id and (b.period = 'total' or o.month = this.month)
        union all select u.device_us, u.cost_nanos from job_usage u where u.job_id = b.job_id
        union all select d.device_us, d.cost_nanos from usage_due d
        where case when b.job_id is null then d.tenant_id = b.tenant_id and (b.period = 'total' or d.month = this.month)
          else d.job_id = b.job_id end) s) booked
    cross join lateral (
      select coalesce(sum(r.device_us * w.share), 0) as device_us, coalesce(sum(r.cost_nanos * w.share), 0) as cost_nanos
      from running r cross join lateral (
        select case when b.job_id is null then 1 else coalesce((
          select (count(*) filter (where e.job_id = b.job_id))::numeric / nullif(count(*), 0)
          from task_user u join render e on e.id = u.render_id where u.task_id = r.task_id and u.is_wanted), 0) end as share) w
      where r.tenant_id = b.tenant_id) now
    where ($1::text is null or b.tenant_id = $1) and ($2::bigint is null or b.id = $2)
    order by b.tenant_id, b.job_id nulls first, b.unit, b.period`,
};

/** Result: this month, and what budgets keep from starting. */
export const bindingBudgetsStatement: NamedStatement = {
  name: "vf_binding_budgets",
  text: `select date_trunc('month', clock_timestamp() at time zone 'UTC')::date::text as month,
    array(select h.name from hold h where h.scope = 'tenant' and h.origin = 'budget' order by 1) as held_tenants,
    array(select s.job_id from job_stop s order by 1) as stopped_jobs`,
};

/** $1: tenant, $2: job or null. Result: the id of a budget of either that was found used up in the time that it is for. */
export const usedUpBudgetStatement: NamedStatement = {
  name: "vf_used_up_budget",
  text: `select b.id from budget b where b.tenant_id = $1 and (b.job_id is null or b.job_id = $2) and b.level = 'reached'
      and (b.period = 'total' or b.level_month = date_trunc('month', clock_timestamp() at time zone 'UTC')::date)
    order by b.id limit 1`,
};

/** Device time and cost of all time, by pool and outcome. */
export const usageTotalsStatement: NamedStatement = {
  name: "vf_usage_totals",
  text: `select o.pool, o.outcome, sum(o.device_us)::double precision / 1000 as device_ms, sum(o.cost_nanos)::text as cost_nanos
    from usage_total o group by o.pool, o.outcome order by 1, 2`,
};

/** $1: booked at or after, $2: most. Result: attempts whose row is not the sum of their entries. */
export const unbalancedStatement: NamedStatement = { name: "vf_unbalanced", text: "select attempt_id from vf_unbalanced($1, $2)" };
