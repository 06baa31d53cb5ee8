/**
 * One Postgres for each test file, and databases copied from a migrated template.
 *
 * The server is ephemeral (no fsync) and dies with the test process, however that ends.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "../../services/platform/database/migrate.ts";
import { startPostgres } from "../../services/platform/programs/postgres.ts";

export const migrationsFolder = join(import.meta.dirname, "../../prisma/migrations");

export type TestPostgres = {
  /** A fresh database with all migrations; its URL. */
  createDatabase(): Promise<string>;
  /** A fresh database without any table; its URL. */
  createEmptyDatabase(): Promise<string>;
  /** What a database holds now, as another; nobody may be connected to it. */
  copyDatabase(url: string): Promise<string>;
  stop(): Promise<void>;
};

async function runOnce(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function withDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

/** Starts a server for this test file; call `stop` in afterAll. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const base = await mkdtemp(join(tmpdir(), "vapfarm-pg-"));
  await chmod(base, 0o755);
  const server = await startPostgres({ folder: join(base, "data"), ephemeral: true });
  await migrate({ url: server.url, folder: migrationsFolder });
  const admin = withDatabase(server.url, "postgres");
  const create = async (template: string): Promise<string> => {
    const name = `test_${randomUUID().replaceAll("-", "")}`;
    await runOnce(admin, `create database ${name} template ${template} strategy file_copy`);
    return withDatabase(server.url, name);
  };
  return {
    createDatabase: () => create("vapfarm"),
    createEmptyDatabase: () => create("template0"),
    copyDatabase: (url) => create(new URL(url).pathname.slice(1)),
    stop: async () => {
      await server.stop();
      await rm(base, { recursive: true, force: true });
    },
  };
}
