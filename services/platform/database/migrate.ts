/**
 * Applies Prisma's migration folders, forward only, and records them as Prisma does.
 *
 * Invariants: one runner at a time (Prisma's own advisory lock); each migration and its record are one
 * transaction, so nothing is ever half applied; a folder that was edited after it was applied, or one that
 * another tool left failed, stops the run. Migrations unknown to this clone are a newer release's and stay, unless that
 * took away what this one uses.
 */
import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { refuseNewerSchema } from "./pending-migrations.ts";

export type MigrateOptions = {
  /** A direct connection: a pooler would lose the advisory lock. */
  readonly url: string;
  /** `prisma/migrations`. */
  readonly folder: string;
  /** How long to wait for another runner, or for a table that is in use. */
  readonly lockTimeoutMs?: number;
};

type Migration = { readonly name: string; readonly sql: string; readonly checksum: string };
type Applied = { readonly migration_name: string; readonly checksum: string; readonly finished_at: Date | null };

/** The number that `prisma migrate` locks too. */
const advisoryLock = 72707369;

const createRecords = `create table if not exists _prisma_migrations (
  id varchar(36) primary key not null,
  checksum varchar(64) not null,
  finished_at timestamptz,
  migration_name varchar(255) not null,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz not null default now(),
  applied_steps_count integer not null default 0
)`;

/** Brings the database up to this clone's migrations; returns the names applied now. Throws DATABASE_MIGRATION_FAILED or DATABASE_SCHEMA_NEWER. */
export async function migrate(options: MigrateOptions): Promise<readonly string[]> {
  const migrations = await readMigrations(options.folder);
  const client = new pg.Client({ connectionString: options.url, application_name: "vapfarm-migrate", connectionTimeoutMillis: 10_000 });
  await client.connect().catch((thrown: unknown) => {
    throw toFarmError(thrown, "DATABASE_UNAVAILABLE");
  });
  try {
    await client.query(`set lock_timeout = ${options.lockTimeoutMs ?? 10_000}`);
    await client.query("select pg_advisory_lock($1)", [advisoryLock]);
    return await applyMissing(client, migrations);
  } catch (thrown) {
    throw toFarmError(thrown, "DATABASE_MIGRATION_FAILED");
  } finally {
    await client.end();
  }
}

async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  return await Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(folder, name, "migration.sql"), "utf8");
      return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
    }),
  );
}

async function applyMissing(client: pg.Client, migrations: readonly Migration[]): Promise<readonly string[]> {
  await client.query(createRecords);
  const records = await client.query<Applied>(
    "select migration_name, checksum, finished_at from _prisma_migrations where rolled_back_at is null",
  );
  const applied = new Map(records.rows.map((row) => [row.migration_name, row]));
  refuseFailed(records.rows);
  const known = migrations.map(({ name }) => name);
  await refuseNewerSchema(client, known);
  for (const migration of migrations) refuseUnlessSound(migration, applied.get(migration.name));
  const missing = migrations.filter(({ name }) => !applied.has(name));
  for (const migration of missing) await apply(client, migration);
  return missing.map(({ name }) => name);
}

function refuseUnlessSound(migration: Migration, record: Applied | undefined): void {
  if (record === undefined || record.checksum === migration.checksum) return;
  throw new FarmError("DATABASE_MIGRATION_FAILED", {
    message: `migration ${migration.name} was edited after it was applied; restore the file and write a new migration instead`,
  });
}

function refuseFailed(records: readonly Applied[]): void {
  const failed = records.find(({ finished_at: finishedAt }) => finishedAt === null);
  if (failed === undefined) return;
  throw new FarmError("DATABASE_MIGRATION_FAILED", {
    message: `migration ${failed.migration_name} was left failed by another tool; repair it with \`prisma migrate resolve\``,
  });
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query("begin");
    await client.query(sql);
    await client.query(
      `insert into _prisma_migrations (id, checksum, started_at, finished_at, migration_name, applied_steps_count)
       values ($1, $2, now(), clock_timestamp(), $3, 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query("commit");
  } catch (thrown) {
    await client.query("rollback");
    throw new FarmError("DATABASE_MIGRATION_FAILED", { message: `migration ${name}: ${toFarmError(thrown).message}`, cause: thrown });
  }
}
