/**
 * What people and metrics look at.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** Open tasks by pool, stage and state. Index: task_open_idx. */
export const queueCountsStatement: NamedStatement = {
  name: "vf_queue_counts",
  text: `select pool, stage, state, count(*)::integer as count from task
    where state in ('blocked', 'ready', 'running', 'delayed') group by pool, stage, state`,
};

/** $1: tenant, null for all. Result: the farm and its queues from one snapshot. Indexes: task_open_idx, job_open_idx. */
export const farmOverviewStatement: NamedStatement = {
  name: "vf_farm_overview",
  text: `select f.name, f.epoch::double precision as epoch, clock_timestamp() as at,
      (select count(*)::integer from job j where j.state in ('queued', 'running') and ($1::text is null or j.tenant_id = $1)) as open_jobs,
      coalesce((
        select jsonb_agg(jsonb_build_object('pool', g.pool, 'stage', g.stage, 'blocked', g.blocked, 'ready', g.ready,
          'running', g.running, 'delayed', g.delayed, 'oldestReadyMs', g.oldest_ready_ms) order by g.pool, g.stage)
        from (
          select t.pool, t.stage, count(*) filter (where t.state = 'blocked') as blocked, count(*) filter (where t.state = 'ready') as ready,
            count(*) filter (where t.state = 'running') as running, count(*) filter (where t.state = 'delayed') as delayed,
            greatest(0, coalesce(extract(epoch from clock_timestamp() - min(q.ready_at)) * 1000, 0)) as oldest_ready_ms
          from task t left join ready q on q.task_id = t.id
          where t.state in ('blocked', 'ready', 'running', 'delayed') group by t.pool, t.stage) g), '[]') as queues
    from farm f`,
};

/** $1: the farm's name, kept by the first that asks. Result: name and epoch. */
export const claimFarmStatement: NamedStatement = {
  name: "vf_claim_farm",
  text: "update farm set name = coalesce(name, $1) returning name, epoch",
};

/** Two random UUIDs, 244 random bits, by whoever asks first; everybody gets the same. */
export const signingKeyStatement: NamedStatement = {
  name: "vf_signing_key",
  text: `insert into signing_key (key) values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'))
    on conflict (id) do update set id = excluded.id returning key`,
};

export const pingStatement: NamedStatement = { name: "vf_ping", text: "select 1" };
