import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import { SchemaEngine } from "@prisma/schema-engine-wasm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCatalogAdapter } from "../../support/catalog-adapter.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";

const schemaPath = join(import.meta.dirname, "../../../prisma/schema.prisma");
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

/** What would have to be done to a database so that it is what schema.prisma says. */
async function difference(url: string, schema: string): Promise<string> {
  const adapter = openCatalogAdapter(url);
  const files = [{ path: "schema.prisma", content: schema }];
  const engine = await SchemaEngine.new(
    { datamodels: [["schema.prisma", schema]] },
    () => undefined,
    bindMigrationAwareSqlAdapterFactory(adapter.factory),
  );
  const from = { tag: "schemaDatasource" as const, files, configDir: "." };
  const to = { tag: "schemaDatamodel" as const, files };
  const filters = { externalTables: [], externalEnums: [] };
  const result = await engine.diff({ from, to, script: true, exitCode: null, filters });
  engine.free();
  await adapter.close();
  return result.stdout?.trim() ?? "";
}

test("the migrations make the database that schema.prisma describes", async () => {
  const schema = await readFile(schemaPath, "utf8");
  expect(await difference(await postgres.createDatabase(), schema)).toBe("-- This is an empty migration.");
});

test("the comparison notices a column, a type, a nullability and an index that differ", async () => {
  const schema = await readFile(schemaPath, "utf8");
  const url = await postgres.createDatabase();
  const edits: readonly (readonly [RegExp, string])[] = [
    [/ {2}fps +Int\n/, "  fps BigInt\n"],
    [/ {2}fps +Int\n/, "  fps Int?\n"],
    [/ {2}fps +Int\n/, "  fps Int\n  bitrate Int\n"],
    [/ {2}@@index\(\[renderId\]\)\n/, ""],
  ];
  for (const [from, to] of edits) {
    expect(schema).toMatch(from);
    expect(await difference(url, schema.replace(from, to))).toMatch(/(ALTER|DROP|CREATE) /);
  }
});
