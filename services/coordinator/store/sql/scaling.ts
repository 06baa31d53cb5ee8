/**
 * Scaling and disruptions; the functions are in migration 0021_scale_pools, with their locks and indexes.
 *
 * Where a duty's epoch is given and it is over, the result is null and nothing was changed.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: pools, $2: most ready tasks of each that are counted, $3: ms that a task of unknown length counts. Result: ScalingFacts of each. */
export const scalingFactsStatement: NamedStatement = { name: "vf_scaling_facts", text: "select vf_scaling_facts($1, $2, $3) as result" };

/** $1: epoch, $2: ScaleChange. Result: aftermath. */
export const applyScaleStatement: NamedStatement = { name: "vf_apply_scale", text: "select vf_apply_scale($1, $2::jsonb) as result" };

/** $1: epoch, $2: pools, $3: [SeenPod]. Result: DisruptionRound. */
export const disruptStatement: NamedStatement = { name: "vf_disrupt", text: "select vf_disrupt($1, $2, $3::jsonb) as result" };

/** Decisions of the last ten minutes: of a pool that nobody decides about any more nothing is told. */
export const scaleRecordsStatement: NamedStatement = {
  name: "vf_scale_records",
  text: `select pool, desired, asked, serving, starting, backlog_ms as "backlogMs", load_ms as "loadMs", reason from pool_scale
    where decided_at > clock_timestamp() - interval '10 minutes' order by pool`,
};
