/**
 * What duties call; the functions are in the migration that makes them, with their locks and indexes.
 *
 * Where a duty's epoch is given and it is over, the result is null and nothing was changed.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: name, $2: holder, $3: ms. Result: the epoch, null when another holds it. */
export const holdDutyStatement: NamedStatement = { name: "vf_hold_duty", text: "select vf_hold_duty($1, $2, $3) as result" };

/** $1: name, $2: holder. The next holder gets a new epoch. */
export const releaseDutyStatement: NamedStatement = {
  name: "vf_release_duty",
  text: "update duty set until = clock_timestamp(), holder = '' where name = $1 and holder = $2",
};

/** $1: sender's elapsed ms, $2: longest gap in ms, $3: largest disagreement in ms. Result: unbroken ms. */
export const recordCanaryStatement: NamedStatement = { name: "vf_record_canary", text: "select vf_record_canary($1, $2, $3) as result" };

/** $1: lease in ms. Result: Lapses of domain/reaping, and `unnamed`, the number of attempts that their live sessions leave out. */
export const lapsesStatement: NamedStatement = { name: "vf_lapses", text: "select vf_lapses($1) as result" };

/** $1: epoch, $2: session ids, $3: policy, $4: lease in ms. Result: {sessions, attempts, aftermath}. */
export const reapStatement: NamedStatement = { name: "vf_reap", text: "select vf_reap($1, $2, $3::jsonb, $4) as result" };

/** $1: epoch. Result: aftermath. */
export const promoteStatement: NamedStatement = { name: "vf_promote_delayed", text: "select vf_promote_delayed($1) as result" };

/** $1: epoch, $2: half-life of shares in ms. Result: whether the duty is held. */
export const tendSharesStatement: NamedStatement = { name: "vf_tend_shares", text: "select vf_tend_shares($1, $2) as result" };

/** $1: epoch. Result: lanes that were missing. */
export const tendLanesStatement: NamedStatement = { name: "vf_tend_lanes", text: "select vf_tend_lanes($1) as result" };

/** $1: epoch, $2: policy. Result: {repaired, aftermath}. */
export const sweepStatement: NamedStatement = { name: "vf_sweep", text: "select vf_sweep($1, $2::jsonb) as result" };

/** $1: epoch, $2: {keepSessionsMs, keepEventsMs, keepUsageMs, keepAttemptsMs}, $3: most rows of a table. Result: rows deleted. */
export const pruneStatement: NamedStatement = { name: "vf_prune", text: "select vf_prune($1, $2::jsonb, $3) as result" };

/** $1: epoch, $2: {longestUploadMs, leaseMs, keepIntermediatesMs, keepDeadLettersMs}. Result: hashes whose waiting time is over. */
export const condemnStatement: NamedStatement = { name: "vf_condemn", text: "select vf_condemn($1, $2::jsonb) as result" };

/** $1: sha256, $2: as of condemn. Result: whether to delete; the row stays locked until the transaction ends. */
export const beginCollectStatement: NamedStatement = {
  name: "vf_begin_collect",
  text: "select vf_begin_collect($1, $2::jsonb) as result",
};

/** $1: sha256. */
export const deleteArtifactStatement: NamedStatement = { name: "vf_delete_artifact", text: "delete from artifact where sha256 = $1" };
