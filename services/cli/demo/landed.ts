/**
 * What a farm's work left in Postgres, read with plain SQL: for showing, not for deciding.
 */
import { openPool, type Pool } from "../../platform/database/pool.ts";
import { seconds, textTable } from "../text-table.ts";

/** What the demo left behind. */
export type Landed = {
  readonly jobs: readonly { readonly id: string; readonly state: string; readonly ms: number; readonly events: number }[];
  readonly stages: readonly {
    readonly stage: string;
    readonly state: string;
    readonly tasks: number;
    readonly attempts: number;
    readonly compute_ms: number;
    readonly device_ms: number;
    readonly workers: string;
  }[];
  /** Table → number of rows. */
  readonly counts: readonly { readonly name: string; readonly rows: number; readonly note: string }[];
};

const jobsQuery = `select id, state, coalesce(extract(epoch from ended_at - created_at) * 1000, 0)::float8 as ms,
  (select count(*) from event where job_id = job.id)::int as events from job order by created_at`;

const stagesQuery = `select t.stage, t.state, count(distinct t.id)::int as tasks, count(a.id)::int as attempts,
  coalesce(sum(a.compute_ms), 0)::float8 as compute_ms,
  coalesce((select sum(u.device_ms) from usage u where u.stage = t.stage), 0)::float8 as device_ms,
  coalesce(string_agg(distinct a.worker_name, ', ' order by a.worker_name), '') as workers
  from task t left join attempt a on a.task_id = t.id group by t.stage, t.state order by min(t.id), t.stage`;

const countsQuery = `select 'task' as name, count(*)::int as rows, 'one per stage on given inputs, named by its content key' as note from task
  union all select 'attempt', count(*)::int, 'tries; each id was a fence' from attempt
  union all select 'event', count(*)::int, 'the log that watching reads' from event
  union all select 'usage', count(*)::int, 'the books: every second that a runtime counted' from usage
  union all select 'artifact', count(*)::int, pg_size_pretty(coalesce(sum(size_bytes), 0)) || ' in the artifact store' from artifact
  union all select 'metric_value', count(*)::int, 'scores, named by what they were computed from' from metric_value
  union all select 'session', count(*)::int, 'lives of worker agents' from session`;

/** Reads everything in one connection. */
export async function readLanded(databaseUrl: string): Promise<Landed> {
  const pool: Pool = openPool({ url: databaseUrl, applicationName: "vapfarm-demo", connections: 1 });
  try {
    const { rows: jobs } = await pool.query<Landed["jobs"][number]>(jobsQuery);
    const { rows: stages } = await pool.query<Landed["stages"][number]>(stagesQuery);
    const { rows: counts } = await pool.query<Landed["counts"][number]>(countsQuery);
    return { jobs, stages, counts };
  } finally {
    await pool.end();
  }
}

/** For people. */
export function landedText(landed: Landed): string {
  const jobs = landed.jobs.map(({ id, state, ms, events }) => [`  ${id}`, state, seconds(ms), String(events)]);
  const stages = landed.stages.map((row) => [
    `  ${row.stage}`,
    row.state,
    String(row.tasks),
    String(row.attempts),
    seconds(row.compute_ms),
    seconds(row.device_ms),
    row.workers,
  ]);
  const counts = landed.counts.map(({ name, rows, note }) => [`  ${name}`, String(rows), note]);
  return [
    textTable(["  job", "state", "took", "events"], jobs),
    "",
    textTable(["  stage", "state", "tasks", "attempts", "compute", "device", "workers"], stages),
    "",
    textTable(["  table", "rows", ""], counts),
  ].join("\n");
}
