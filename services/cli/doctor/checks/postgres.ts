/**
 * Postgres: durable settings, enough connections, the schema of this release, and a clock like ours.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { toFarmError } from "../../../domain/errors.ts";
import { type DatabaseFacts, probeDatabase } from "../../../platform/database/probe.ts";
import { type Check, fail, ok, skip, type Verdict, warn } from "../verdict.ts";
import { judgeClock } from "./clock.ts";

/** What this release expects of a database. */
export type Expected = {
  /** Migration → SHA-256 of its file. */
  readonly migrations: ReadonlyMap<string, string>;
  /** `table.column` of schema.prisma. */
  readonly columns: readonly string[];
};

/** Pure. */
export function judgePostgres(facts: DatabaseFacts, expected: Expected): readonly Verdict[] {
  const major = Math.floor(facts.versionNumber / 10_000);
  const version = `${major}.${facts.versionNumber % 10_000}`;
  return [
    // The farm's times carry their zone, so any zone is right.
    major >= 15
      ? ok("Postgres", `${version}, time zone ${facts.settings["TimeZone"] ?? "unknown"}`)
      : fail("Postgres", `${version}, 15 or newer is needed`, "upgrade Postgres"),
    ...durability(facts.settings),
    connections(facts),
    migrations(facts, expected),
    drift(facts, expected),
  ];
}

function durability(settings: DatabaseFacts["settings"]): readonly Verdict[] {
  return ["fsync", "synchronous_commit", "full_page_writes"].map((name) => {
    const value = settings[name] ?? "unknown";
    // `local` waits for this machine's disk; stricter levels than `on` wait for standbys too.
    const isSafe = ["on", "local", "remote_apply", "remote_write"].includes(value);
    const remedy = `set ${name} = on; without it a crash of the machine loses jobs (an --ephemeral farm has it off on purpose)`;
    return isSafe ? ok(name, value) : warn(name, value, remedy);
  });
}

function connections({ settings, connections: used }: DatabaseFacts): Verdict {
  const most = Number(settings["max_connections"] ?? 0);
  const found = `${most}, ${used} in use`;
  const remedy = "raise max_connections to 100 or more: each coordinator takes up to 20";
  if (most - used < 10) return fail("max_connections", found, remedy);
  return most < 50 ? warn("max_connections", found, remedy) : ok("max_connections", found);
}

function migrations(facts: DatabaseFacts, { migrations: files }: Expected): Verdict {
  const applied = new Map(facts.migrations.map((each) => [each.name, each]));
  const unfinished = facts.migrations.filter(({ isFinished }) => !isFinished).map(({ name }) => name);
  const edited = [...files].filter(([name, sum]) => applied.has(name) && applied.get(name)?.checksum !== sum).map(([name]) => name);
  const pending = [...files.keys()].filter((name) => !applied.has(name));
  if (unfinished.length > 0) return fail("migrations", `left half done: ${unfinished.join(", ")}`, "repair with `prisma migrate resolve`");
  if (edited.length > 0) return fail("migrations", `edited after they were applied: ${edited.join(", ")}`, "restore the files from git");
  if (pending.length > 0) return fail("migrations", `pending: ${pending.join(", ")}`, "run `vapfarm migrate` with DATABASE_URL set");
  const newer = facts.migrations.length - files.size;
  return ok("migrations", `${files.size} applied${newer > 0 ? `, and ${newer} of a newer release` : ""}`);
}

function drift(facts: DatabaseFacts, { columns }: Expected): Verdict {
  if (facts.migrations.length === 0) return skip("schema drift", "nothing is migrated yet");
  const there = new Set(facts.columns);
  const missing = columns.filter((column) => !there.has(column));
  if (missing.length === 0) return ok("schema drift", `0 of ${columns.length} columns`);
  const found = `${missing.length} of ${columns.length} columns are missing: ${missing.slice(0, 5).join(", ")}`;
  return fail("schema drift", found, "somebody changed the schema by hand: undo it, or restore a backup");
}

/** `table.column` of every model of a Prisma schema; relations are no columns. */
export function columnsOfSchema(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^model (\w+) \{\n([\s\S]*?)^\}/gm)].map(([, name = "", body = ""]) => ({ name, body }));
  const models = new Set(blocks.map(({ name }) => name));
  return blocks.flatMap(({ name, body }) => {
    const table = /@@map\("(\w+)"\)/.exec(body)?.[1] ?? name;
    const fields = [...body.matchAll(/^ {2}(\w+)\s+(\w+)(\[\])?\??(.*)$/gm)];
    return fields
      .filter(([, , type = ""]) => !models.has(type))
      .map(([, field = "", , , rest = ""]) => `${table}.${/@map\("(\w+)"\)/.exec(rest)?.[1] ?? field}`);
  });
}

/** Asks the database for its settings and schema. */
export const postgresCheck: Check = {
  name: "Postgres",
  async run({ databaseUrl, context: { projectFolder } }) {
    if (databaseUrl === undefined) return [skip("Postgres", "no farm runs on the data folder and DATABASE_URL is not set")];
    try {
      const facts = await probeDatabase(databaseUrl);
      const offsetMs = facts.time.getTime() - Date.now();
      const clock = judgeClock("clock of Postgres", { offsetMs, uncertaintyMs: facts.roundTripMs });
      return [...judgePostgres(facts, await expectedOf(projectFolder)), clock];
    } catch (thrown) {
      const reason = toFarmError(thrown).message;
      return [fail("Postgres", `does not answer: ${reason}`, "start Postgres, or correct DATABASE_URL")];
    }
  },
};

async function expectedOf(projectFolder: string): Promise<Expected> {
  const folder = join(projectFolder, "prisma/migrations");
  const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const migrations = new Map<string, string>();
  for (const name of names.sort()) {
    const sql = await readFile(join(folder, name, "migration.sql"), "utf8");
    migrations.set(name, createHash("sha256").update(sql).digest("hex"));
  }
  return { migrations, columns: columnsOfSchema(await readFile(join(projectFolder, "prisma/schema.prisma"), "utf8")) };
}
