/**
 * “Benchmark scores”: the newest of each suite and model from Prometheus, and their history, run by run, from Postgres.
 */
import { type DashboardSpec, farmVariable, type Variable } from "./dashboard.ts";
import { metrics, metricsNow, rows, rowsOverTime } from "./query.ts";

const chosen = "s.name in (${suite:sqlstring}) and b.model in (${model:sqlstring})";
const runs = "bench_run b join job j on j.id = b.job_id join suite s on s.tenant_id = b.tenant_id and s.id = b.suite_id";
const scores = `${runs} join set_score c on c.job_id = b.job_id and c.aggregator = \${aggregator:sqlstring} and c.metric in (\${metric:sqlstring})`;

const names = (name: string, label: string, sql: string): Variable => ({
  name,
  label,
  description: `${label} of the benchmark runs in this database`,
  choice: "many",
  kind: "rows",
  sql,
});

const variables: readonly Variable[] = [
  farmVariable,
  names("suite", "Suite", `select distinct s.name from ${runs} order by 1`),
  names("model", "Model", "select distinct model from bench_run order by 1"),
  names("metric", "Metric", "select distinct metric from set_score order by 1"),
  {
    name: "aggregator",
    label: "Aggregator",
    description: "How a set's number comes from its clips: their mean, or weighted by frames as VBench does for some metrics",
    choice: "one",
    kind: "fixed",
    values: ["video_mean", "frame_weighted"],
  },
];

export const benchmarksDashboard: DashboardSpec = {
  uid: "vapfarm-benchmarks",
  title: "Benchmark scores",
  description: "Scores of the newest runs and their history",
  from: "now-90d",
  refresh: "5m",
  variables,
  rows: [
    {
      title: "Newest finished run of each suite, model and settings",
      lines: [
        {
          height: 9,
          panels: [
            {
              kind: "bars",
              title: "Scores now",
              description: "Higher is better for each of them. The demo's networks have random weights: their numbers mean nothing.",
              unit: "none",
              width: 12,
              queries: [
                metricsNow(
                  `max by (suite, model, settings, metric) (vapfarm_benchmark_score{aggregator="$aggregator",model=~"\${model:regex}",metric=~"\${metric:regex}",farm=~"$farm"})`,
                  "{{metric}} {{model}} {{suite}} {{settings}}",
                ),
              ],
              thresholds: [[undefined, "blue"]],
              runbook: "VapfarmBenchmarkScoreDropped",
            },
            {
              kind: "series",
              title: "Age of the newest run",
              description: "Since the newest finished run of each suite, model and settings ended.",
              unit: "s",
              width: 12,
              queries: [
                metrics(
                  `time() - max by (suite, model, settings) (vapfarm_benchmark_run_end_timestamp_seconds{model=~"\${model:regex}",farm=~"$farm"})`,
                  "{{model}} {{suite}} {{settings}}",
                ),
              ],
            },
          ],
        },
      ],
    },
    {
      title: "Over time",
      lines: [
        {
          height: 10,
          panels: [
            {
              kind: "series",
              title: "Scores of runs, when they ended",
              description:
                "A point for each finished run; a line is of runs with equal settings, named by the first digits of their digest.",
              unit: "none",
              width: 16,
              queries: [
                rowsOverTime(`select j.ended_at as time, c.metric || ' ' || b.model || ' ' || s.name || ' ' || left(b.settings_digest, 6) as metric, c.value
from ${scores} where $__timeFilter(j.ended_at) and ${chosen} and c.value is not null order by j.ended_at`),
              ],
              runbook: "VapfarmBenchmarkScoreDropped",
            },
            {
              kind: "series",
              title: "Clips without a number",
              description: "Of each run and metric: too small, too few frames, or failed. Above 0 the set's number is of fewer clips.",
              unit: "none",
              width: 8,
              queries: [
                rowsOverTime(`select j.ended_at as time, c.metric || ' ' || b.model as metric, c.missing_count::double precision as value
from ${scores} where $__timeFilter(j.ended_at) and ${chosen} order by j.ended_at`),
              ],
              thresholds: [
                [undefined, "green"],
                [1, "red"],
              ],
            },
          ],
        },
        {
          height: 10,
          panels: [
            {
              kind: "table",
              title: "Runs",
              description:
                "Newest first. Only runs with equal settings digests are of one kind; random weights or networks: the numbers mean nothing.",
              unit: "none",
              width: 24,
              queries: [
                rows(`select left(b.job_id, 14) as run, b.label, s.name as suite, b.model, left(b.model_digest, 12) as "model digest", left(b.settings_digest, 12) as "settings digest",
  b.steps, b.guidance_scale as guidance, b.seeds, b.has_trained_weights as "trained weights", b.has_trained_metrics as "trained metrics", j.state,
  j.render_succeeded as clips, j.render_failed as failed, j.ended_at as ended,
  (u.device_us / 1e6)::double precision as device, (u.device_us / 1e6 / nullif(j.render_succeeded, 0))::double precision as "device a clip"
from ${runs} left join job_usage u on u.job_id = j.id where $__timeFilter(j.created_at) and ${chosen} order by j.created_at desc limit 200`),
              ],
              columns: { ended: "dateTimeAsIso", device: "s", "device a clip": "s" },
            },
          ],
        },
        {
          height: 10,
          panels: [
            {
              kind: "table",
              title: "Spread over clips",
              description:
                "Of each run and metric: the worst, the middle and the best clip. A low mean with a high middle: a few clips are broken.",
              unit: "none",
              width: 24,
              queries: [
                rows(`select b.label, b.model, v.metric, count(v.normalized) as clips, min(v.normalized) as worst,
  percentile_cont(0.5) within group (order by v.normalized) as middle, max(v.normalized) as best, avg(v.normalized) as mean, max(j.ended_at) as ended
from ${runs} join render r on r.job_id = j.id join task_user u on u.render_id = r.id join task_score k on k.task_id = u.task_id
join metric_value_normalized v on v.id = k.value_id and v.metric in (\${metric:sqlstring})
where $__timeFilter(j.created_at) and ${chosen} group by b.job_id, b.label, b.model, v.metric order by max(j.ended_at) desc nulls last, v.metric limit 500`),
              ],
              columns: { ended: "dateTimeAsIso" },
            },
          ],
        },
      ],
    },
  ],
};
