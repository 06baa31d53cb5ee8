/**
 * next: what workers with a free slot say, and the claims they get.
 *
 * $1: asks [{position, sessionId, sequence, farmEpoch, worker, heldAttemptIds, freeSlots, aheadSlots, reports, leaving}], a session at most
 * once.
 * $2: {leaseMs, pools: {name: profile}, policy: {error class: rule}, order: OrderSettings of store-context.ts}.
 * Result: {outcomes: [{position, outcome}], aftermath}.
 * Outcomes: refused (EPOCH_MISMATCH, POOL_UNKNOWN, POOL_PROFILE_MISMATCH, SESSION_SUPERSEDED, SESSION_ENDED, SEQUENCE_STALE), or
 * answered, from what is stored when the sequence is the session's last.
 * Locks: sessions by id, tasks (producer before consumer), artifacts, one advisory lock per pool, steering (shared), jobs by id.
 * Indexes: lane_pkey, ready_lane_idx (one head per lane), attempt_session_running_idx, primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const nextStatement: NamedStatement = { name: "vf_next", text: "select vf_next($1::jsonb, $2::jsonb) as result" };
