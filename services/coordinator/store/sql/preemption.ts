/**
 * Preemption and deadlines; the functions are in migration 0015_preempt, with their locks and indexes.
 *
 * Where a duty's epoch is given and it is over, the result is null and nothing was changed.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: policy. Result: Preemptable of domain/preemption. */
export const preemptableStatement: NamedStatement = { name: "vf_preemptable", text: "select vf_preemptable($1::jsonb) as result" };

/** $1: epoch, $2: victims, $3: policy. Result: PreemptionRound. */
export const preemptStatement: NamedStatement = { name: "vf_preempt", text: "select vf_preempt($1, $2::jsonb, $3::jsonb) as result" };

/** $1: most jobs. Result: DeadlineFacts of domain/deadline, each with jobId and deadline (as the database writes it). */
export const deadlinesStatement: NamedStatement = { name: "vf_deadlines", text: "select vf_deadlines($1) as result" };

/** $1: epoch, $2: [{jobId, deadline, told, message}]. Result: DeadlineRound. */
export const tellDeadlinesStatement: NamedStatement = {
  name: "vf_tell_deadlines",
  text: "select vf_tell_deadlines($1, $2::jsonb) as result",
};
