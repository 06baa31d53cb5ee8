/**
 * “Jobs and tenants”: who waits, who uses what, what fails. Tenants and jobs are rows of Postgres and no labels of metrics.
 */
import { type DashboardSpec, farmVariable, poolVariable, type RowSpec, type Variable } from "./dashboard.ts";
import { metrics, quantile, rows, rowsOverTime, stored } from "./query.ts";

const farm = 'farm=~"$farm"';
const pools = 'farm=~"$farm",pool=~"$pool"';
const tenants = "tenant_id in (${tenant:sqlstring})";

const tenantVariable: Variable = {
  name: "tenant",
  label: "Tenant",
  description: "Tenants of the farm whose database this is",
  choice: "many",
  kind: "rows",
  sql: "select id from tenant order by id",
};

const open: RowSpec = {
  title: "What is open",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "table",
          title: "Tenants with open jobs",
          description: "Jobs that have not ended, and their renders: queued ones have begun nothing yet.",
          unit: "none",
          width: 12,
          queries: [
            rows(`select tenant_id as tenant, job_class as class, count(*) as jobs, sum(render_queued) as "renders queued", sum(render_running) as "renders running",
  min(created_at) as "oldest since"
from job where ended_at is null and removed_at is null and ${tenants}
group by tenant_id, job_class order by tenant_id, job_class`),
          ],
          columns: { "oldest since": "dateTimeFromNow" },
        },
        {
          kind: "table",
          title: "Budgets",
          description:
            "`warned`: four fifths are used; `reached`: nothing new starts, or jobs are cancelled. Allowed is in the currency, or in seconds of device time.",
          unit: "none",
          width: 12,
          queries: [
            rows(`select tenant_id as tenant, coalesce(job_id, '') as job, unit, period, action, level,
  case unit when 'money' then allowed / 1e9 else allowed / 1e6 end as allowed
from budget where ${tenants} order by level = 'reached' desc, level = 'warned' desc, tenant_id`),
          ],
          runbook: "What work costs",
        },
      ],
    },
    {
      height: 10,
      panels: [
        {
          kind: "table",
          title: "Jobs",
          description: "The newest within the chosen time; the id opens its first render.",
          unit: "none",
          width: 24,
          queries: [
            rows(`select id as job, tenant_id as tenant, job_class as class, priority, state, created_at as created,
  extract(epoch from coalesce(ended_at, clock_timestamp()) - created_at)::double precision as took, deadline,
  render_total as renders, render_succeeded as succeeded, render_failed as failed, coalesce(failure_code, '') as code
from job where $__timeFilter(created_at) and removed_at is null and ${tenants}
order by created_at desc limit 200`),
          ],
          columns: { took: "s", created: "dateTimeAsIso", deadline: "dateTimeFromNow" },
          opens: { column: "job", url: "/d/vapfarm-render?var-job=${__data.fields.job}&var-database=${database}" },
        },
      ],
    },
  ],
};

const ended: RowSpec = {
  title: "What ended",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "stack",
          title: "Jobs that ended, an hour",
          description: "Jobs of the chosen tenants, by how they ended.",
          unit: "none",
          width: 8,
          queries: [
            rowsOverTime(`select $__timeGroupAlias(ended_at, '1h'), state as metric, count(*)::double precision as value
from job where $__timeFilter(ended_at) and ${tenants} group by 1, 2 order by 1`),
          ],
        },
        {
          kind: "stack",
          title: "Device time of tenants, an hour",
          description: "Seconds on the books, by who bears them.",
          unit: "s",
          width: 8,
          queries: [
            rowsOverTime(`select $__timeGroupAlias(at, '1h'), tenant_id as metric, sum(amount)::double precision / 1e6 as value
from usage_entry where counter = 'device_us' and $__timeFilter(at) and ${tenants} group by 1, 2 order by 1`),
          ],
        },
        {
          kind: "table",
          title: "Tasks that failed for good",
          description: "By code and stage, the newest first: `vapfarm failures` shows each with the runtime's last lines.",
          unit: "none",
          width: 8,
          queries: [
            rows(`select failure_code as code, stage, pool, count(*) as tasks, max(ended_at) as newest
from task where state = 'failed' and $__timeFilter(ended_at) and ${tenants}
group by failure_code, stage, pool order by max(ended_at) desc limit 100`),
          ],
          columns: { newest: "dateTimeFromNow" },
          runbook: "Error codes",
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "table",
          title: "What tenants used",
          description: "Device time and cost within the chosen time. Wasted: failed, lost, returned or superseded.",
          unit: "none",
          width: 12,
          queries: [
            rows(`select tenant_id as tenant, pool,
  sum(amount) filter (where counter = 'device_us')::double precision / 1e6 as device,
  coalesce(sum(amount) filter (where counter = 'device_us' and outcome <> 'committed'), 0)::double precision / 1e6 as wasted,
  coalesce(sum(amount) filter (where counter = 'cost_nanos'), 0)::double precision / 1e9 as cost
from usage_entry where $__timeFilter(at) and ${tenants}
group by tenant_id, pool order by device desc nulls last limit 100`),
          ],
          columns: { device: "s", wasted: "s" },
        },
        {
          kind: "table",
          title: "Stages that wait for a worker",
          description: "Ready tasks by tenant, pool and stage, and since when the oldest is ready.",
          unit: "none",
          width: 12,
          queries: [
            rows(`select r.tenant_id as tenant, r.pool, t.stage, count(*) as ready, min(r.ready_at) as "oldest since"
from ready r join task t on t.id = r.task_id where r.${tenants}
group by r.tenant_id, r.pool, t.stage order by min(r.ready_at) limit 100`),
          ],
          columns: { "oldest since": "dateTimeFromNow" },
          runbook: "VapfarmProductionWaits",
        },
      ],
    },
  ],
};

const steering: RowSpec = {
  title: "Order, stopping, trying again (all tenants)",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Tasks tried again, a minute",
          description: "By class of error. `unexplained` and `worker`: look at the machines; `capacity`: memory.",
          unit: "cpm",
          width: 6,
          queries: [metrics(`60 * sum by (class) (rate(vapfarm_retries_total{${farm}}[$__rate_interval]))`, "{{class}}")],
        },
        {
          kind: "series",
          title: "Runs that make way, an hour",
          description: "By what comes first, and how it ended; many that are not `given`: a longer `graceMs` in `VAPFARM_PREEMPTION`.",
          unit: "none",
          width: 6,
          queries: [
            metrics(`sum by (reason) (increase(vapfarm_preemptions_total{${farm}}[1h]))`, "for {{reason}}"),
            metrics(`sum by (outcome) (increase(vapfarm_preemptions_closed_total{${farm}}[1h]))`, "{{outcome}}"),
          ],
        },
        {
          kind: "series",
          title: "How long stopping takes",
          description: "p95 from the commit that told runs to stop until each had ended; `unwanted` is a cancel. Bound: one step, or 5 s.",
          unit: "s",
          width: 6,
          queries: [
            metrics(quantile(0.95, `vapfarm_level_seconds{${farm}}`, "level"), "{{level}}"),
            metrics(quantile(0.95, `vapfarm_stop_seconds{${pools}}`, "level"), "worker: {{level}}"),
          ],
        },
        {
          kind: "series",
          title: "Work that was there already",
          description: "Tasks of new renders that were found done, a minute, by stage. Falls: a model or a setting changed.",
          unit: "cpm",
          width: 6,
          queries: [metrics(`60 * sum by (stage) (rate(vapfarm_reused_tasks_total{${farm}}[$__rate_interval]))`, "{{stage}}")],
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Deadlines, an hour",
          description: "Jobs whose deadline is at risk, or was missed.",
          unit: "none",
          width: 8,
          queries: [metrics(`sum by (told) (increase(vapfarm_deadlines_total{${farm}}[1h]))`, "{{told}}")],
          runbook: "VapfarmDeadlinesMissed",
        },
        {
          kind: "series",
          title: "Open jobs",
          description: "By class and state, of all tenants.",
          unit: "none",
          width: 8,
          queries: [metrics(stored(`vapfarm_open_jobs{${farm}}`, "class, state", "class, state"), "{{class}} {{state}}")],
        },
        {
          kind: "series",
          title: "Webhooks, an hour",
          description: "Tries by outcome; `failed` is tried again for up to two days, `given_up` is not.",
          unit: "none",
          width: 8,
          queries: [metrics(`sum by (outcome) (increase(vapfarm_webhook_tries_total{${farm}}[1h]))`, "{{outcome}}")],
        },
      ],
    },
  ],
};

export const jobsDashboard: DashboardSpec = {
  uid: "vapfarm-jobs",
  title: "Jobs and tenants",
  description: "Who waits, who uses what, what fails",
  from: "now-24h",
  refresh: "1m",
  variables: [farmVariable, poolVariable, tenantVariable],
  rows: [open, ended, steering],
};
