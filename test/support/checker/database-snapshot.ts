/**
 * Reads the farm's tables as one moment saw them.
 */
import type { Pool } from "../../../services/platform/database/pool.ts";
import type { Snapshot } from "./rows.ts";

/** A connection that the caller has put into a transaction. */
export type Reader = { query(sql: string): Promise<{ readonly rows: readonly Record<string, unknown>[] }>; readonly isReader: true };

export type Taken = { readonly takenAtMs: number; readonly snapshot: Snapshot };

const tables: readonly (keyof Snapshot)[] = [
  "farm",
  "job",
  "render",
  "task",
  "task_user",
  "task_input",
  "task_output",
  "ready",
  "attempt",
  "session",
  "worker",
  "artifact",
  "task_checkpoint",
  "upload",
  "upload_part",
  "event",
  "webhook",
  "webhook_delivery",
  "usage",
  "canary",
  "hold",
  "job_stop",
  "waiting",
  "preemption",
];

/** All tables in one repeatable-read transaction, or in the caller's own. */
export async function readSnapshot(database: Pool | Reader): Promise<Taken> {
  if ("isReader" in database) return read(database);
  const client = await database.connect();
  try {
    await client.query("begin isolation level repeatable read read only");
    const taken = await read(client);
    await client.query("commit");
    return taken;
  } finally {
    client.release();
  }
}

async function read(client: Pick<Reader, "query">): Promise<Taken> {
  const columns = tables.map((table) => `(select coalesce(jsonb_agg(to_jsonb(r)), '[]') from "${table}" r) as "${table}"`);
  const { rows } = await client.query(`select extract(epoch from clock_timestamp()) * 1000 as taken_at_ms, ${columns.join(", ")}`);
  const { taken_at_ms: takenAtMs, ...snapshot } = rows[0] ?? {};
  return { takenAtMs: Number(takenAtMs), snapshot: snapshot as Snapshot };
}
