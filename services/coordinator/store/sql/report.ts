/**
 * report: ended attempts, each applied only when its fence is current, and in the books once.
 *
 * $1: asks [{position, sessionId, sequence, farmEpoch, reports}], a session at most once. $2: as of next.
 * Result: {outcomes: [{position, outcome}], aftermath}.
 * Outcomes: refused (EPOCH_MISMATCH, SESSION_ENDED when unknown, SEQUENCE_STALE), or answered: committed, already_committed or
 * superseded for each report.
 * Locks: sessions by id, tasks (producer before consumer), artifacts, jobs by id. Indexes: primary keys, task_input_producer_id_idx.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

export const reportStatement: NamedStatement = { name: "vf_report", text: "select vf_report($1::jsonb, $2::jsonb) as result" };
