/**
 * What a Postgres says of itself, for a check of its settings; reads only.
 */
import pg from "pg";
import { toFarmError } from "../../domain/errors.ts";

export type DatabaseFacts = {
  /** E.g. 180004. */
  readonly versionNumber: number;
  /** `SHOW` of the settings that durability and sizes hang on. */
  readonly settings: Readonly<Record<string, string>>;
  readonly time: Date;
  /** How long the question took: the time is that much uncertain. */
  readonly roundTripMs: number;
  /** Of `_prisma_migrations`; empty for a database without it. */
  readonly migrations: readonly { readonly name: string; readonly checksum: string; readonly isFinished: boolean }[];
  /** Table and column, as `job.state`. */
  readonly columns: readonly string[];
  readonly connections: number;
};

const settingNames = ["fsync", "synchronous_commit", "full_page_writes", "max_connections", "TimeZone"];
const timeoutMs = 5_000;

/** Connects once; DATABASE_UNAVAILABLE when Postgres does not answer. */
export async function probeDatabase(url: string): Promise<DatabaseFacts> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "vapfarm-doctor",
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  try {
    await client.connect();
    return await readFacts(client);
  } catch (thrown) {
    throw toFarmError(thrown, "DATABASE_UNAVAILABLE");
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function readFacts(client: pg.Client): Promise<DatabaseFacts> {
  const asked = performance.now();
  const now = await client.query<{ time: Date; version: string }>(
    "select clock_timestamp() as time, current_setting('server_version_num') as version",
  );
  const roundTripMs = performance.now() - asked;
  const settings = await client.query<{ name: string; setting: string }>("select name, setting from pg_settings where name = any($1)", [
    settingNames,
  ]);
  const used = await client.query<{ count: string }>("select count(*) from pg_stat_activity where backend_type = 'client backend'");
  const columns = await client.query<{ column: string }>(
    `select table_name || '.' || column_name as "column" from information_schema.columns where table_schema = current_schema()`,
  );
  return {
    versionNumber: Number(now.rows[0]?.version ?? 0),
    time: now.rows[0]?.time ?? new Date(0),
    roundTripMs,
    settings: Object.fromEntries(settings.rows.map(({ name, setting }) => [name, setting])),
    migrations: await readMigrations(client),
    columns: columns.rows.map(({ column }) => column),
    connections: Number(used.rows[0]?.count ?? 0),
  };
}

async function readMigrations(client: pg.Client): Promise<DatabaseFacts["migrations"]> {
  const table = await client.query<{ table: string | null }>(`select to_regclass('_prisma_migrations')::text as "table"`);
  if (table.rows[0]?.table == null) return [];
  const { rows } = await client.query<{ name: string; checksum: string; finished: boolean }>(
    `select migration_name as name, checksum, finished_at is not null as finished from _prisma_migrations where rolled_back_at is null`,
  );
  return rows.map(({ name, checksum, finished }) => ({ name, checksum, isFinished: finished }));
}
