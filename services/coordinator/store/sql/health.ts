/**
 * How workers are judged; the functions are in the migration that makes them (judge_failures), with their locks and indexes.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: {windowMs, mostAttempts, blamed}. Result: HealthFacts of domain/worker-health, each worker with its name and the number of its verdict. */
export const healthFactsStatement: NamedStatement = { name: "vf_health_facts", text: "select vf_health_facts($1::jsonb) as result" };

/** $1: epoch, $2: verdicts. Result: {changed, aftermaths}, null when the duty is lost. */
export const judgeWorkersStatement: NamedStatement = { name: "vf_judge_workers", text: "select vf_judge_workers($1, $2::jsonb) as result" };

/** $1: worker, $2: by. Result: {pushes, aftermath}, null when unknown. */
export const clearWorkerStatement: NamedStatement = { name: "vf_clear_worker", text: "select vf_clear_worker($1, $2) as result" };

/** What metrics show, by pool. Indexes: task_failed_idx, task_user_render_id_idx; the other tables are small. */
export const healthCountsStatement: NamedStatement = {
  name: "vf_health_counts",
  text: `select 'suspended' as kind, w.pool, count(*)::integer as count from worker_health h join worker w on w.id = h.worker_id
      where h.state = 'suspended' group by w.pool
    union all
    select 'probation', w.pool, count(*)::integer from worker_health h join worker w on w.id = h.worker_id
      where h.state = 'probation' group by w.pool
    union all
    select 'quarantined', w.pool, count(*)::integer from quarantine q join worker w on w.id = q.worker_id
      where q.ends_at > clock_timestamp() group by w.pool
    union all
    select 'dead letters', t.pool, count(*)::integer from task t where t.state = 'failed' and not t.is_retired group by t.pool`,
};
