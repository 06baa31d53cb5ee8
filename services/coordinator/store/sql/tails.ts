/**
 * Log tails of attempts whose worker was lost.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: attempts. Those that run, and those that ended badly without a log; what is not told needs nothing. Index: attempt_pkey. */
export const tailNeedsStatement: NamedStatement = {
  name: "vf_tail_needs",
  text: `select a.id as "attemptId", a.state = 'running' as "isRunning" from attempt a
    where a.id = any ($1::uuid[]) and (a.state = 'running' or (a.state in ('lost', 'failed') and a.log_tail is null))`,
};

/** $1: attempt, $2: log. The first word stays. */
export const keepTailStatement: NamedStatement = {
  name: "vf_keep_tail",
  text: `update attempt set log_tail = $2 where id = $1::uuid and log_tail is null and state in ('lost', 'failed') returning worker_name as worker`,
};
