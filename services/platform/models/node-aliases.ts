/**
 * What the aliases of models meant when a node's folder was last filled: written by who pulls, read by the worker that starts there, which
 * cannot ask the farm before it is ready.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { aliasReference } from "../../domain/model-reference.ts";

/** In the folder of models; hidden, so it is taken for no model. */
export const nodeAliasesName = ".aliases.json";

const schema = z.record(z.string(), z.string());

/** The version that each `<name>@<alias>` named. */
export type NodeAliases = ReadonlyMap<string, string>;

type NamedVersion = { readonly name: string; readonly version: string; readonly aliases: readonly string[] };

/** The file's text. */
export function nodeAliasesText(versions: readonly NamedVersion[]): string {
  const named = versions.flatMap(({ name, version, aliases }) => aliases.map((alias) => [aliasReference(name, alias), version] as const));
  return `${JSON.stringify(Object.fromEntries(named.toSorted(([left], [right]) => (left < right ? -1 : 1))))}\n`;
}

/** Nothing where no puller wrote any, or wrote what this release cannot read. */
export async function readNodeAliases(folder: string): Promise<NodeAliases> {
  const text = await readFile(join(folder, nodeAliasesName), "utf8").catch(() => "{}");
  const parsed = schema.safeParse(parseOrNothing(text));
  return new Map(Object.entries(parsed.success ? parsed.data : {}));
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
