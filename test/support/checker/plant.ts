/**
 * Plants violations into a farm's own database, files and journals, takes the evidence with them in place, and takes them away again.
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { checkFarm } from "./check-farm.ts";
import { collectEvidence } from "./collect-evidence.ts";
import { underTest } from "./farm-under-test.ts";
import type { SmallFarm } from "./small-farm.ts";
import type { Violation } from "./violation.ts";

export type Planter = {
  /** In a transaction without triggers and foreign keys, which is rolled back. */
  inDatabase(...statements: readonly string[]): Promise<readonly Violation[]>;
  /** In a copy of the journals whose names match: each line becomes those that are returned. */
  inJournals(name: RegExp, change: (line: Line) => readonly object[]): Promise<readonly Violation[]>;
  /** In the folder of artifacts, while `undo` was not called. */
  inPlace(plant: () => Promise<() => Promise<unknown>>): Promise<readonly Violation[]>;
};

/** A line of any journal. */
export type Line = Readonly<Record<string, unknown>> & { readonly kind: string; readonly atMs: number };

/** What plants into one farm. */
export function planterOf({ farm, journals, bounds }: SmallFarm): Planter {
  const judge = async (plant: (client: pg.Client) => Promise<unknown>, journalsFolder = journals.folder): Promise<readonly Violation[]> => {
    const client = new pg.Client({ connectionString: farm.description.databaseUrl });
    await client.connect();
    try {
      await client.query("begin; set local session_replication_role = replica");
      await plant(client);
      const database = { isReader: true as const, query: (sql: string) => client.query<Record<string, unknown>>(sql) };
      return checkFarm(await collectEvidence({ ...(await underTest(farm, journalsFolder, bounds)), database }));
    } finally {
      await client.query("rollback");
      await client.end();
    }
  };
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    inDatabase: (...statements) => judge((client) => client.query(statements.join(";\n"))),
    async inJournals(name, change) {
      const folder = await changedCopy(journals.folder, name, change);
      try {
        return await judge(nothing, folder);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    async inPlace(plant) {
      const undo = await plant();
      try {
        return await judge(nothing);
      } finally {
        await undo();
      }
    },
  };
}

async function changedCopy(from: string, name: RegExp, change: (line: Line) => readonly object[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-planted-"));
  await cp(from, folder, { recursive: true });
  let isChanged = false;
  for (const file of (await readdir(folder)).filter((one) => name.test(one))) {
    const text = await readFile(join(folder, file), "utf8");
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
    const changed = lines
      .flatMap(change)
      .map((line) => `${JSON.stringify(line)}\n`)
      .join("");
    isChanged ||= changed !== text;
    await writeFile(join(folder, file), changed);
  }
  if (!isChanged) throw new TypeError(`nothing was planted into the journals ${String(name)}`);
  return folder;
}
