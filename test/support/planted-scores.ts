/**
 * Benchmark runs that have ended, written straight into a farm's database: rows as the farm leaves them, without the hours of rendering.
 */
import { sha256 } from "./store-world.ts";

type Sql = (query: string, values?: readonly unknown[]) => Promise<unknown>;

export type PlantedRun = {
  readonly runId: string;
  /** Name; its id is the name's hash. */
  readonly suite: string;
  readonly model: string;
  readonly endedAt: string;
  /** Of the CLIP score; null: it has no number, as the other metric of the run. */
  readonly value: number | null;
  /** Else 2. */
  readonly steps?: number;
};

/** The digits of a planted suite's id that metrics show. */
export function suiteDigits(suite: string): string {
  return sha256(suite).slice(0, 8);
}

/** A run with one metric that has a number and one that has none. */
export async function plantScoredRun(sql: Sql, { runId, suite, model, endedAt, value, steps = 2 }: PlantedRun): Promise<void> {
  await sql("insert into tenant (id) values ('local') on conflict do nothing");
  await sql("insert into suite (tenant_id, id, name, row_count, kinds) values ('local', $1, $2, 1, '[]') on conflict do nothing", [
    sha256(suite),
    suite,
  ]);
  await sql(
    `insert into job (id, tenant_id, body_digest, job_class, reuse, state, ended_at, render_total, render_succeeded)
     values ($1, 'local', $2, 'benchmark', 'inputs', 'succeeded', $3::timestamptz, 1, 1)`,
    [runId, sha256("body"), endedAt],
  );
  await sql(
    `insert into bench_run (job_id, tenant_id, suite_id, label, model, model_digest, has_trained_weights, metrics_model, has_trained_metrics,
       metrics, seeds, panels, steps, guidance_scale, settings_digest, scored_end)
     values ($1, 'local', $2, '', $3, $4, false, 'demo-metrics', false, '{clip_score}', 1, false, $6, 6, $4, $5::timestamptz)`,
    [runId, sha256(suite), model, sha256("digest"), endedAt, steps],
  );
  await sql(
    `insert into set_score (job_id, metric, aggregator, value, count, missing_count)
     values ($1, 'clip_score', 'video_mean', $2, 1, 0), ($1, 'dynamic_degree', 'video_mean', null, 0, 1)`,
    [runId, value],
  );
}
