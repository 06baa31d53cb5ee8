/**
 * Expanding renders that wait; the functions are in the migration that makes them, with their locks and indexes.
 *
 * Where the duty's epoch is over, the result is null and nothing was changed.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: renders that are kept open in a pool, $2: most lines of a tenant. Result: {isWaiting, pools: [ExpandingPool of domain/expansion]}. */
export const expansionFactsStatement: NamedStatement = {
  name: "vf_expansion_facts",
  text: "select vf_expansion_facts($1, $2) as result",
};

/** $1: [{jobId, pool, renders}]. Result: [WaitingRender]. */
export const waitingRendersStatement: NamedStatement = {
  name: "vf_waiting_renders",
  text: "select vf_waiting_renders($1::jsonb) as result",
};

/** $1: epoch, $2: {tenant, pool, tasks, uploads, renders}. Result: {kind: expanded, aftermath} | {kind: invalid, missing}. */
export const expandStatement: NamedStatement = { name: "vf_expand", text: "select vf_expand($1, $2::jsonb) as result" };

/** $1: epoch, $2: tenant, $3: renders. Result: as of expand. */
export const expandAgainStatement: NamedStatement = { name: "vf_expand_again", text: "select vf_expand_again($1, $2, $3) as result" };

/** $1: epoch, $2: [{id, code, message}]. Result: aftermath. */
export const failWaitingStatement: NamedStatement = { name: "vf_fail_waiting", text: "select vf_fail_waiting($1, $2::jsonb) as result" };

/** Renders that wait and that are open, by pool. Indexes: waiting_pool_idx, render_open_idx. */
export const windowCountsStatement: NamedStatement = {
  name: "vf_window_counts",
  text: `select pool, sum(waiting)::integer as waiting, sum(open)::integer as open from (
      select w.pool, w.renders as waiting, 0 as open from waiting w
      union all select r.pool, 0, 1 from render r where r.state in ('queued', 'running') and not r.is_waiting) counted
    group by pool order by pool`,
};
