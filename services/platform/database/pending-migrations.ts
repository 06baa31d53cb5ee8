/**
 * Which of this clone's migrations a database lacks: a service must not start on a schema older than it needs.
 */
import { readdir } from "node:fs/promises";
import pg from "pg";
import { FarmError, toFarmError } from "../../domain/errors.ts";

/** Throws DATABASE_SCHEMA_OLD naming the migrations that are missing; DATABASE_UNAVAILABLE when Postgres does not answer. */
export async function requireMigrations(options: { readonly url: string; readonly folder: string }): Promise<void> {
  const applied = new Set(await appliedMigrations(options.url));
  const entries = await readdir(options.folder, { withFileTypes: true });
  const missing = entries.filter((entry) => entry.isDirectory() && !applied.has(entry.name)).map(({ name }) => name);
  if (missing.length === 0) return;
  throw new FarmError("DATABASE_SCHEMA_OLD", {
    message: `the database lacks migrations: ${missing.sort().join(", ")}`,
    details: { missing },
  });
}

async function appliedMigrations(url: string): Promise<readonly string[]> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "vapfarm-schema-check",
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ table: string | null }>(`select to_regclass('_prisma_migrations')::text as "table"`);
    if (rows[0]?.table == null) return [];
    const names = await client.query<{ migration_name: string }>(
      "select migration_name from _prisma_migrations where finished_at is not null and rolled_back_at is null",
    );
    return names.rows.map((row) => row.migration_name);
  } catch (thrown) {
    throw toFarmError(thrown, "DATABASE_UNAVAILABLE");
  } finally {
    await client.end().catch(() => undefined);
  }
}
