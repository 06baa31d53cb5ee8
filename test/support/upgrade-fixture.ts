/**
 * A data folder of `up` as an earlier release left it: its schema, its rows, its artifacts (tools/make-upgrade-fixture.ts).
 *
 * Times are moved so that the fixture was taken a minute ago: its session has lapsed, and nothing is old enough to be collected.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { layoutOf } from "../../services/cli/data-folder.ts";
import { migrate } from "../../services/platform/database/migrate.ts";
import { startPostgres } from "../../services/platform/programs/postgres.ts";
import { projectRoot } from "./ffmpeg.ts";
import { migrationsFolder } from "./postgres.ts";

type Rows = Readonly<Record<string, readonly unknown[]>>;
export type UpgradeFixture = { readonly schema: string; readonly takenAt: string; readonly rows: Rows };

const fixtures = join(projectRoot, "test/fixtures/upgrade");
const agoMs = 60_000;

/** Makes the folder; returns what it was made from. */
export async function makeOldFarm(folder: string, release: string): Promise<UpgradeFixture> {
  const from = join(fixtures, release);
  const fixture = JSON.parse(await readFile(join(from, "rows.json"), "utf8")) as UpgradeFixture;
  const layout = layoutOf(folder);
  await mkdir(layout.artifacts, { recursive: true });
  const postgres = await startPostgres({ folder: layout.postgres, ephemeral: false });
  try {
    await applyUpTo(postgres.url, fixture.schema);
    await load(postgres.url, fixture);
  } finally {
    await postgres.stop();
  }
  const artifacts = (await readdir(join(from, "artifacts"))).map((name) => join(from, "artifacts", name));
  for (const path of [...artifacts, join(projectRoot, "demo/image.png"), join(projectRoot, "demo/clip.mp4")]) {
    const sha256 = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    await cp(path, join(layout.artifacts, sha256.slice(0, 2), sha256));
  }
  return fixture;
}

/** The migrations that the earlier release had. */
async function applyUpTo(url: string, newest: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-schema-"));
  try {
    for (const name of await readdir(migrationsFolder)) {
      if (/^\d{4}_/.test(name) && name <= newest) await cp(join(migrationsFolder, name), join(folder, name), { recursive: true });
    }
    await migrate({ url, folder });
  } finally {
    await rm(folder, { recursive: true });
  }
}

type Column = { readonly name: string; readonly type: string; readonly generated: string; readonly identity: string };

async function load(url: string, { rows, takenAt }: UpgradeFixture): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("begin");
    // Rows as they were: no trigger makes anything of them.
    await client.query("set local session_replication_role = replica");
    const shiftMs = Date.now() - agoMs - Date.parse(takenAt);
    for (const [table, found] of Object.entries(rows)) await loadTable(client, { table, found, shiftMs });
    await client.query("commit");
  } finally {
    await client.end();
  }
}

type Loading = { readonly table: string; readonly found: readonly unknown[]; readonly shiftMs: number };

async function loadTable(client: pg.Client, { table, found, shiftMs }: Loading): Promise<void> {
  const { rows: columns } = await client.query<Column>(
    `select column_name as name, data_type as type, is_generated as generated, is_identity as identity
     from information_schema.columns where table_schema = 'public' and table_name = $1`,
    [table],
  );
  const stored = columns.filter(({ generated }) => generated === "NEVER");
  const names = stored.map(({ name }) => `"${name}"`).join(", ");
  await client.query(`delete from "${table}"`);
  await client.query(`insert into "${table}" (${names}) select ${names} from jsonb_populate_recordset(null::"${table}", $1)`, [
    JSON.stringify(found),
  ]);
  const times = stored.filter(({ type }) => type === "timestamp with time zone");
  const shifted = times.map(({ name }) => `"${name}" = "${name}" + $1 * interval '1 millisecond'`).join(", ");
  if (shifted !== "") await client.query(`update "${table}" set ${shifted}`, [shiftMs]);
  for (const { name, identity } of columns) {
    if (identity !== "YES") continue;
    await client.query(`select setval(pg_get_serial_sequence($1, $2), (select coalesce(max("${name}"), 1) from "${table}"))`, [
      table,
      name,
    ]);
  }
}
