/**
 * Whether a database's schema and this clone fit: a service must not start on a schema older than it needs, nor on one from which a
 * newer release took what it uses. A schema that a newer release only added to serves both, so that they can work side by side.
 */
import { readdir } from "node:fs/promises";
import pg from "pg";
import { FarmError, toFarmError } from "../../domain/errors.ts";

/** Throws DATABASE_SCHEMA_OLD naming the migrations that are missing, DATABASE_SCHEMA_NEWER; DATABASE_UNAVAILABLE when Postgres does not answer. */
export async function requireMigrations(options: { readonly url: string; readonly folder: string }): Promise<void> {
  const entries = await readdir(options.folder, { withFileTypes: true });
  const known = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const applied = new Set(await appliedMigrations(options.url, known));
  const missing = known.filter((name) => !applied.has(name));
  if (missing.length === 0) return;
  throw new FarmError("DATABASE_SCHEMA_OLD", {
    message: `the database lacks migrations: ${missing.sort().join(", ")}`,
    details: { missing },
  });
}

/** Throws DATABASE_SCHEMA_NEWER when the database asks for a migration that is not among the known ones (`farm.needs_migration`). */
export async function refuseNewerSchema(client: pg.Client, known: readonly string[]): Promise<void> {
  const columns = await client.query(
    `select 1 from information_schema.columns
     where table_schema = current_schema() and table_name = 'farm' and column_name = 'needs_migration'`,
  );
  if (columns.rows.length === 0) return;
  const { rows } = await client.query<{ needed: string }>("select needs_migration as needed from farm");
  const needed = rows[0]?.needed;
  if (needed === undefined || known.includes(needed)) return;
  throw new FarmError("DATABASE_SCHEMA_NEWER", {
    message: `the database was migrated by a newer release and asks for ${needed}, which this release does not have`,
  });
}

async function appliedMigrations(url: string, known: readonly string[]): Promise<readonly string[]> {
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
    await refuseNewerSchema(client, known);
    return names.rows.map((row) => row.migration_name);
  } catch (thrown) {
    throw toFarmError(thrown, "DATABASE_UNAVAILABLE");
  } finally {
    await client.end().catch(() => undefined);
  }
}
