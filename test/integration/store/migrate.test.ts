import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { migrate } from "../../../services/platform/database/migrate.ts";
import { requireMigrations } from "../../../services/platform/database/pending-migrations.ts";
import { migrationsFolder, startTestPostgres, type TestPostgres } from "../../support/postgres.ts";

let postgres: TestPostgres;
let folder: string;
let url: string;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-migrations-"));
  url = await postgres.createEmptyDatabase();
});
afterEach(() => rm(folder, { recursive: true }));

async function add(name: string, sql: string): Promise<void> {
  await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, name, "migration.sql"), sql);
}

async function query<Row extends object>(text: string): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as readonly Row[];
  } finally {
    await client.end();
  }
}

test("the farm's migrations make an empty database ready, and running them again does nothing", async () => {
  await cp(migrationsFolder, folder, { recursive: true });
  const applied = await migrate({ url, folder });
  expect(applied[0]).toBe("0001_create_tables");
  expect(await migrate({ url, folder })).toEqual([]);
  const records = await query(
    "select migration_name, applied_steps_count, finished_at >= started_at as is_finished, length(checksum) as digits from _prisma_migrations order by 1",
  );
  expect(records).toEqual(applied.map((name) => ({ migration_name: name, applied_steps_count: 1, is_finished: true, digits: 64 })));
});

test("a migration that fails leaves nothing of itself, and those before it stay", async () => {
  await add("0001_a", "create table a (); create table b ()");
  await add("0002_c", "create table c (); select 1 / 0");
  await expect(migrate({ url, folder })).rejects.toMatchObject({ code: "DATABASE_MIGRATION_FAILED", message: /0002_c: division by zero/ });
  expect(await query("select to_regclass('b') is not null as b, to_regclass('c') is not null as c")).toEqual([{ b: true, c: false }]);
  expect(await query("select migration_name from _prisma_migrations")).toEqual([{ migration_name: "0001_a" }]);
  await add("0002_c", "create table c ()");
  expect(await migrate({ url, folder })).toEqual(["0002_c"]);
});

test("a migration that was edited after it was applied is refused", async () => {
  await add("0001_a", "create table a ()");
  await migrate({ url, folder });
  await add("0001_a", "create table a (id int)");
  await add("0002_b", "create table b ()");
  await expect(migrate({ url, folder })).rejects.toMatchObject({ code: "DATABASE_MIGRATION_FAILED", message: /0001_a was edited/ });
  expect(await query("select to_regclass('b') as b")).toEqual([{ b: null }]);
});

test("a migration that another tool left failed is refused, one that it rolled back is applied", async () => {
  await add("0001_a", "create table a ()");
  await migrate({ url, folder });
  await query("insert into _prisma_migrations (id, checksum, migration_name) values ('x', 'y', '0002_b')");
  await add("0002_b", "create table b ()");
  await expect(migrate({ url, folder })).rejects.toMatchObject({ message: /0002_b was left failed/ });
  await query("update _prisma_migrations set rolled_back_at = now() where id = 'x'");
  expect(await migrate({ url, folder })).toEqual(["0002_b"]);
});

test("two runners at once apply each migration once", async () => {
  for (const name of ["0001_a", "0002_b", "0003_c"]) await add(name, `create table ${name.slice(5)} (); select pg_sleep(0.05)`);
  const applied = await Promise.all([migrate({ url, folder }), migrate({ url, folder })]);
  expect(applied.flat().sort()).toEqual(["0001_a", "0002_b", "0003_c"]);
});

test("a table that is in use makes the runner give up in time", async () => {
  await add("0001_a", "create table a ()");
  await migrate({ url, folder });
  await add("0002_b", "alter table a add column id int");
  const reader = new pg.Client({ connectionString: url });
  await reader.connect();
  await reader.query("begin; lock table a in access share mode");
  await expect(migrate({ url, folder, lockTimeoutMs: 50 })).rejects.toMatchObject({ message: /lock timeout/ });
  await reader.end();
  expect(await migrate({ url, folder })).toEqual(["0002_b"]);
});

test("an unreachable database is unavailable, not a failed migration", async () => {
  await add("0001_a", "create table a ()");
  const gone = new URL(url);
  gone.port = "1";
  await expect(migrate({ url: gone.href, folder })).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
});

test("a schema from which a newer release took something is refused; one that it only added to is not", async () => {
  await cp(migrationsFolder, folder, { recursive: true });
  await migrate({ url, folder });
  await add("9998_add", "create table added ()");
  await migrate({ url, folder });
  await rm(join(folder, "9998_add"), { recursive: true });
  expect(await migrate({ url, folder })).toEqual([]);
  await requireMigrations({ url, folder });
  await query("update farm set needs_migration = '9998_add'");
  const refused = { code: "DATABASE_SCHEMA_NEWER", message: /asks for 9998_add/ };
  await expect(migrate({ url, folder })).rejects.toMatchObject(refused);
  await expect(requireMigrations({ url, folder })).rejects.toMatchObject(refused);
});

test("what the schema asks for is a migration of this release", async () => {
  await cp(migrationsFolder, folder, { recursive: true });
  const applied = await migrate({ url, folder });
  const [farm] = await query<{ needed: string }>("select needs_migration as needed from farm");
  expect(applied).toContain(farm?.needed);
});
