/**
 * What a database holds, as one value to compare: every row of every table that only requests change.
 */
import { createHash } from "node:crypto";
import type { Pool } from "../../../services/platform/database/pool.ts";

/** These tables and columns change by themselves while a coordinator runs: events are sent, artifacts condemned, bookings and shares added up, lanes closed. */
const restless: ReadonlySet<string> = new Set([
  ...["canary", "duty", "session", "session_answer", "usage_due", "usage_total", "job_usage"],
  ...["lane", "pool_order", "share_due", "share_scale", "tenant_share", "class_share", "worker_health"],
]);
const restlessColumns = "'{sent_event,has_unsent,condemned_at}'";

/** Table → rows and a digest of them. */
export async function printDatabase(pool: Pool): Promise<Readonly<Record<string, string>>> {
  const { rows } = await pool.query<{ readonly name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' order by 1",
  );
  const names = rows.map(({ name }) => name).filter((name) => !restless.has(name));
  const parts = names.map(
    (name) =>
      `select '${name}' as name, count(*)::int as rows, coalesce(string_agg(line, '|' order by line), '') as text ` +
      `from (select (to_jsonb(t) - ${restlessColumns}::text[])::text as line from "${name}" t) lines`,
  );
  const printed = await pool.query<{ readonly name: string; readonly rows: number; readonly text: string }>(parts.join(" union all "));
  return Object.fromEntries(printed.rows.map(({ name, rows: count, text }) => [name, `${count} rows, ${createHash("sha256").update(text).digest("hex").slice(0, 16)}`])); // prettier-ignore
}
