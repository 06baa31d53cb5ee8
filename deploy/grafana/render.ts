/**
 * “One render's path”: where its time went, stage by stage and try by try. All of it is rows of Postgres: a render is never a label of a metric.
 */
import type { DashboardSpec, Variable } from "./dashboard.ts";
import { rows } from "./query.ts";

const render = "r.job_id = ${job:sqlstring} and r.position = ${render}";
const tasks = `render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id`;

/** When its inputs were there: the end of the last task that it takes something from. */
const inputsThere = `greatest(t.created_at, (
    select max(p.ended_at) from task_input i join task p on p.id = i.producer_id where i.task_id = t.id))`;

const variables: readonly Variable[] = [
  {
    name: "job",
    label: "Job",
    description: "The newest 500; another id can be typed",
    choice: "one",
    kind: "rows",
    sql: `select id as __value, left(id, 14) || ' ' || tenant_id || ' ' || state as __text from job where removed_at is null order by created_at desc limit 500`,
  },
  {
    name: "render",
    label: "Render",
    description: "Position in its job",
    choice: "one",
    kind: "rows",
    sql: "select position from render where job_id = ${job:sqlstring} order by position limit 5000",
  },
];

export const renderDashboard: DashboardSpec = {
  uid: "vapfarm-render",
  title: "One render's path",
  description: "Where a render's time went, stage by stage and try by try",
  from: "now-30d",
  refresh: "",
  variables,
  rows: [
    {
      title: "The render",
      lines: [
        {
          height: 4,
          panels: [
            {
              kind: "table",
              title: "State",
              description: "Of this render and its job. A code is explained in the RUNBOOK's table.",
              unit: "none",
              width: 16,
              queries: [
                rows(`select r.state, coalesce(r.failure_code, '') as code, coalesce(r.failure_stage, '') as "failed at", r.pool, j.tenant_id as tenant,
  j.job_class as class, j.priority, j.created_at as submitted, r.ended_at as ended, j.deadline
from render r join job j on j.id = r.job_id where ${render}`),
              ],
              columns: { submitted: "dateTimeAsIso", ended: "dateTimeAsIso", deadline: "dateTimeAsIso" },
              runbook: "Error codes",
            },
            {
              kind: "stat",
              title: "From submit to end",
              description: "Seconds on the clock; until now while it goes on.",
              unit: "s",
              width: 4,
              queries: [
                rows(`select extract(epoch from coalesce(r.ended_at, clock_timestamp()) - j.created_at)::double precision as took
from render r join job j on j.id = r.job_id where ${render}`),
              ],
              thresholds: [[undefined, "blue"]],
            },
            {
              kind: "stat",
              title: "Device time",
              description: "Of all tries at its tasks, shared ones in full.",
              unit: "s",
              width: 4,
              queries: [
                rows(
                  `select coalesce(sum(a.device_ms), 0) / 1000 as device from ${tasks} join attempt a on a.task_id = t.id where ${render}`,
                ),
              ],
              thresholds: [[undefined, "blue"]],
            },
          ],
        },
      ],
    },
    {
      title: "Its stages",
      lines: [
        {
          height: 10,
          panels: [
            {
              kind: "chart",
              title: "Where its time went",
              description:
                "Of the try that counted: waiting from when its inputs were there until it began, then loading and computing. Reused stages took nothing.",
              unit: "s",
              width: 10,
              queries: [
                rows(`select u.label as stage,
  greatest(0, extract(epoch from coalesce(a.began_at, a.started_at) - ${inputsThere}))::double precision as waited, a.load_ms / 1000 as loaded, a.compute_ms / 1000 as computed
from ${tasks} join attempt a on a.task_id = t.id and a.state = 'succeeded'
where ${render} and not u.is_reused order by coalesce(a.began_at, a.started_at)`),
              ],
            },
            {
              kind: "table",
              title: "Stages",
              description: "In the order in which they began. `missing`: inputs that are not there yet.",
              unit: "none",
              width: 14,
              queries: [
                rows(`select u.label as stage, t.state, u.is_reused as reused, t.inputs_missing as missing, t.attempt_count as tries, coalesce(a.worker_name, '') as worker,
  coalesce(a.began_at, a.started_at) as began, t.ended_at as ended, coalesce(t.failure_code, '') as code
from ${tasks} left join lateral (
  select a.worker_name, a.began_at, a.started_at from attempt a where a.task_id = t.id order by a.number desc limit 1) a on true
where ${render} order by coalesce(a.began_at, a.started_at) nulls last, u.label`),
              ],
              columns: { began: "dateTimeAsIso", ended: "dateTimeAsIso" },
              runbook: "Error codes",
            },
          ],
        },
      ],
    },
    {
      title: "Each try, and what was told",
      lines: [
        {
          height: 10,
          panels: [
            {
              kind: "table",
              title: "Tries",
              description:
                "`lost`: its worker's lease ran out; `abandoned`: given back for a drain, a preemption or a cancel. One without `began` was only reserved.",
              unit: "none",
              width: 14,
              queries: [
                rows(`select u.label as stage, a.number as try, a.worker_name as worker, a.state, coalesce(a.error_code, '') as code, a.began_at as began, a.ended_at as ended,
  a.load_ms / 1000 as loaded, a.compute_ms / 1000 as computed, a.device_ms / 1000 as device, coalesce(a.error_message, '') as message
from ${tasks} join attempt a on a.task_id = t.id where ${render} order by a.started_at`),
              ],
              columns: { began: "dateTimeAsIso", ended: "dateTimeAsIso", loaded: "s", computed: "s", device: "s" },
              runbook: "Error codes",
            },
            {
              kind: "table",
              title: "Events",
              description: "What watchers of the job were told of this render, and of the job as a whole.",
              unit: "none",
              width: 10,
              queries: [
                rows(`select e.at as time, e.kind, e.stage, e.worker_name as worker, e.message from event e
where e.job_id = \${job:sqlstring} and (e.render_position is null or e.render_position = \${render}) order by e.number limit 1000`),
              ],
              columns: { time: "dateTimeAsIso" },
            },
          ],
        },
        {
          height: 6,
          panels: [
            {
              kind: "table",
              title: "Times it made way",
              description: "Its runs that were told to stop for others, why, and how it ended. Three times at most.",
              unit: "none",
              width: 12,
              queries: [
                rows(`select u.label as stage, p.reason, p.opened_at as told, p.made_way_at as left, coalesce(p.outcome, '') as outcome
from ${tasks} join preemption p on p.task_id = t.id where ${render} order by p.opened_at`),
              ],
              columns: { told: "dateTimeAsIso", left: "dateTimeAsIso" },
            },
            {
              kind: "table",
              title: "Scores",
              description: "What metrics say of its clip; a status other than `ok` has its reason.",
              unit: "none",
              width: 12,
              queries: [
                rows(`select v.metric, v.status, v.value, v.reason, v.frames, s.decode_ms / 1000 as decoded
from ${tasks} join task_score s on s.task_id = t.id join metric_value v on v.id = s.value_id where ${render} order by v.metric`),
              ],
              columns: { decoded: "s" },
            },
          ],
        },
      ],
    },
  ],
};
