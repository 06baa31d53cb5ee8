/**
 * Rows and artifacts of a running farm as a fixture: `node tools/make-upgrade-fixture.ts DATABASE_URL ARTIFACTS_FOLDER OUT`.
 *
 * Run before a release, on a farm of that release, for the test that upgrades from it (test/e2e/upgrade.test.ts): `rows.json` has every row of
 * every table but secrets in one snapshot, `schema` the newest migration. Of the artifacts those that tasks gave, and the demo's own files
 * left out: the test has them. What makes a good one: a job that is done, one that runs and has a checkpoint, and one that a hold keeps waiting.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";

const [url = "", artifacts = "", out = ""] = process.argv.slice(2);
const root = join(import.meta.dirname, "..");
const client = new pg.Client({ connectionString: url });
await client.connect();
await client.query("begin isolation level repeatable read read only");
const tables = await client.query<{ name: string }>(
  "select tablename as name from pg_tables where schemaname = 'public' and tablename not in ('_prisma_migrations', 'signing_key', 'canary') order by 1",
);
const rows: Record<string, unknown[]> = {};
for (const { name } of tables.rows) {
  const found = await client.query<{ row: unknown }>(`select to_jsonb(t) as row from "${name}" t`);
  if (found.rows.length > 0) rows[name] = found.rows.map(({ row }) => row);
}
const needed = await client.query<{ sha256: string }>("select sha256 from task_output union select sha256 from task_checkpoint");
const newest = await client.query<{ name: string; at: Date }>("select max(migration_name) as name, now() as at from _prisma_migrations");
await client.query("commit");
await client.end();

await mkdir(out, { recursive: true });
const text = JSON.stringify({ schema: newest.rows[0]?.name, takenAt: newest.rows[0]?.at, rows }, undefined, 1);
// Names of the machine that it was made on say nothing.
await writeFile(join(out, "rows.json"), text.replaceAll(/"host": "[^"]*"/g, '"host": "host"'));
const own = await Promise.all(["demo/image.png", "demo/clip.mp4"].map(async (path) => hashOf(await readFile(join(root, path)))));
for (const { sha256 } of needed.rows) {
  if (!own.includes(sha256)) await cp(join(artifacts, sha256.slice(0, 2), sha256), join(out, "artifacts", sha256));
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
