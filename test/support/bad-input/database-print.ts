/**
 * What a database holds, as one value to compare: every row of every table that only requests change.
 */
import { createHash } from "node:crypto";
import { openPool, type Pool } from "../../../services/platform/database/pool.ts";

/** These tables and columns change by themselves while a coordinator runs: events are sent, artifacts condemned, bookings and shares added up, lanes closed. */
const restless: ReadonlySet<string> = new Set([
  ...["canary", "duty", "session", "session_answer", "usage_due", "usage_total", "job_usage"],
  ...["lane", "pool_order", "share_due", "share_scale", "tenant_share", "class_share", "worker_health"],
]);
const restlessColumns = "'{sent_event,has_unsent,condemned_at}'";

/** Connections to print over: without helpers for each statement, which would take longer to start than it does. */
export function openPrintPool(databaseUrl: string): Pool {
  const url = new URL(databaseUrl);
  url.searchParams.set("options", "-c max_parallel_workers_per_gather=0");
  return openPool({ url: url.href, applicationName: "prints", connections: 2 });
}

/** Statements by pool: planned once for each connection, for they read all tables. */
const statements = new WeakMap<Pool, Promise<string>>();

/** Table → rows and a digest of them. Its tables are those of the first print. */
export async function printDatabase(pool: Pool): Promise<Readonly<Record<string, string>>> {
  const text = statements.get(pool) ?? statementFor(pool);
  statements.set(pool, text);
  const printed = await pool.query<{ readonly name: string; readonly rows: number; readonly text: string }>({
    name: "print",
    text: await text,
  });
  return Object.fromEntries(printed.rows.map(({ name, rows: count, text: lines }) => [name, `${count} rows, ${digestOf(lines)}`]));
}

const digestOf = (lines: string): string => createHash("sha256").update(lines).digest("hex").slice(0, 16);

async function statementFor(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ readonly name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' order by 1",
  );
  const names = rows.map(({ name }) => name).filter((name) => !restless.has(name));
  return names
    .map(
      (name) =>
        `select '${name}' as name, count(*)::int as rows, coalesce(string_agg(line, '|' order by line), '') as text ` +
        `from (select (to_jsonb(t) - ${restlessColumns}::text[])::text as line from "${name}" t) lines`,
    )
    .join(" union all ");
}
