/**
 * beat: renews leases, keeps what each attempt has cost so far and where it got to, and answers its level.
 *
 * $1: asks [{position, sessionId, sequence, farmEpoch, progress: [{attemptId, phase, step, steps, deviceMs}], announced: [artifact],
 * checkpoints: [{attemptId, step, sha256, sizeBytes}]}].
 * $2: {leaseMs}. Result: {outcomes: [{position, outcome}]}.
 * Outcomes: refused (EPOCH_MISMATCH, SESSION_SUPERSEDED, SESSION_ENDED, SEQUENCE_STALE) or answered.
 * Locks: sessions by id, then their attempts (HOT updates), then announced artifacts and those of checkpoints, then checkpoints.
 * Indexes: primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const beatStatement: NamedStatement = { name: "vf_beat", text: "select vf_beat($1::jsonb, $2::jsonb) as result" };
