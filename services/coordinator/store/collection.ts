/**
 * Collection of artifacts that nothing needs (design §4.12).
 *
 * Invariants: condemned first, deleted only after the longest upload and a lease have passed, under the row's
 * lock, bytes before row: a crash between leaves a condemned row, never a row that promises missing bytes.
 */
import { inTransaction } from "../../platform/database/pool.ts";
import { beginCollectStatement, condemnStatement, deleteArtifactStatement } from "./sql/duties.ts";
import { callFunction, type StoreContext, toPayload } from "./store-context.ts";
import type { DutyStore } from "./store-contract.ts";

/** Condemns and collects; the decision whether an artifact is needed is the database's. */
export function createCollection({ pool, settings }: StoreContext): Pick<DutyStore, "condemnArtifacts" | "collectArtifact"> {
  const options = toPayload({ ...settings.retention, ...settings.room, leaseMs: settings.leaseMs });
  return {
    condemnArtifacts: async (dutyEpoch) => (await callFunction<string[] | null>(pool, condemnStatement, [dutyEpoch, options])) ?? [],
    collectArtifact: (sha256, remove) =>
      inTransaction(pool, async (connection) => {
        const begun = await connection.query<{ readonly result: boolean }>({ ...beginCollectStatement, values: [sha256, options] });
        if (begun.rows[0]?.result !== true) return "kept";
        await remove();
        await connection.query({ ...deleteArtifactStatement, values: [sha256] });
        return "collected";
      }),
  };
}
