/**
 * The chart's README and schema say what the chart has.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { withSettings } from "../../../tools/chart-settings.ts";
import { chartFolder } from "../../support/helm.ts";

const read = (name: string): string => readFileSync(join(chartFolder, name), "utf8");
const values = parse(read("values.yaml")) as Values;
type Values = Readonly<Record<string, unknown>>;
type Row = { readonly path: string; readonly shown: string };

const rows: readonly Row[] = [...read("README.md").matchAll(/^\| `([A-Za-z0-9.]+)` \| (.*?) \| .* \|$/gm)].map((match) => ({
  path: match[1] ?? "",
  shown: match[2] ?? "",
}));

function isMapping(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Paths of what has nothing below it. */
function leavesOf(value: unknown, path: string): readonly string[] {
  const fields = isMapping(value) ? Object.entries(value) : [];
  if (fields.length === 0) return [path];
  return fields.flatMap(([key, field]) => leavesOf(field, path === "" ? key : `${path}.${key}`));
}

function valueAt(path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => (isMapping(value) ? value[key] : undefined), values);
}

describe("the README's table of values", () => {
  it("has a row for every value, or for what it is part of", () => {
    const missing = leavesOf(values, "").filter((leaf) => !rows.some(({ path }) => leaf === path || leaf.startsWith(`${path}.`)));
    expect(missing).toEqual([]);
  });

  it("has no row for what there is not, and none twice", () => {
    const paths = rows.map(({ path }) => path);
    expect(paths.filter((path) => valueAt(path) === undefined)).toEqual([]);
    expect(new Set(paths).size).toBe(paths.length);
  });

  it("shows defaults as they are, where it shows one in code alone", () => {
    const told = rows.filter(({ shown }) => /^`[^`]+`$/.test(shown) && !/^`(image|ClusterIP)`/.test(shown));
    expect(told.length).toBeGreaterThan(20);
    for (const { path, shown } of told) {
      const value = valueAt(path);
      expect([path, shown]).toEqual([path, `\`${typeof value === "string" ? value : JSON.stringify(value)}\``]);
    }
  });
});

describe("values.schema.json", () => {
  it("knows the settings that the services have today; else run: node tools/chart-settings.ts", () => {
    expect(read("values.schema.json")).toBe(withSettings(read("values.schema.json")));
  });

  it("knows every value, and nothing but values", () => {
    const schema = JSON.parse(read("values.schema.json")) as Schema;
    const known = leavesOfSchema(schema, schema, "").filter((path) => !/^(global|pools)\b/.test(path));
    const there = leavesOf(values, "").filter((path) => path !== "pools");
    expect(there.filter((path) => !known.some((each) => path === each || path.startsWith(`${each}.`)))).toEqual([]);
    expect(known.filter((path) => valueAt(path) === undefined)).toEqual([]);
  });
});

type Schema = {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
  readonly definitions?: Readonly<Record<string, Schema>>;
};

/** Paths of the schema that have no fields of their own; free mappings and settings count as such. */
function leavesOfSchema(root: Schema, schema: Schema, path: string): readonly string[] {
  const name = schema.$ref?.replace("#/definitions/", "") ?? "";
  const target = root.definitions?.[name] ?? schema;
  const fields = name.endsWith("Settings") || path === "pools" ? [] : Object.entries(target.properties ?? {});
  if (fields.length === 0) return [path];
  return fields.flatMap(([key, field]) => leavesOfSchema(root, field, path === "" ? key : `${path}.${key}`));
}
