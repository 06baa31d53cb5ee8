/**
 * What tenants are granted, how they stand, and what shapes need.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: tenant, $2: {weight, maxRunning, maxWaiting}. */
export const setTenantLimitStatement: NamedStatement = {
  name: "vf_set_tenant_limit",
  text: "select vf_set_tenant_limit($1, $2::jsonb) as result",
};

/** $1: {shape: bytes}. */
export const learnShapesStatement: NamedStatement = { name: "vf_learn_shapes", text: "select vf_learn_shapes($1::jsonb) as result" };

/** $1: tenant, null: all. Indexes: tenant_pkey, task_open_idx, job_open_idx, attempt_tenant_running_idx. */
export const listTenantsStatement: NamedStatement = {
  name: "vf_list_tenants",
  text: `select t.id as tenant, coalesce(l.weight, 1) as weight, l.max_running, l.max_waiting,
      coalesce(ready.tasks, 0)::integer as ready_tasks, coalesce(running.tasks, 0)::integer as running_tasks,
      coalesce(open.renders, 0)::integer as open_renders,
      coalesce((
        select jsonb_agg(jsonb_build_object('pool', s.pool, 'deviceMs', s.charged / vf_share_weight(clock_timestamp())) order by s.pool)
        from tenant_share s where s.tenant_id = t.id), '[]') as shares
    from tenant t left join tenant_limit l on l.tenant_id = t.id
      left join (select q.tenant_id, count(*) as tasks from ready q group by q.tenant_id) ready on ready.tenant_id = t.id
      left join (select a.tenant_id, count(*) as tasks from attempt a where a.state = 'running' group by a.tenant_id) running
        on running.tenant_id = t.id
      left join (select j.tenant_id, sum(j.render_queued + j.render_running) as renders from job j where j.state in ('queued', 'running')
                 group by j.tenant_id) open on open.tenant_id = t.id
    where $1::text is null or t.id = $1 order by t.id`,
};
