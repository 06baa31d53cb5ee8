/**
 * Which packages programs load: a walk over their imports. Pure but for reading files.
 *
 * It reads the code as this project writes it (one import a statement, double quotes, `.ts` paths); what only types are taken from is not
 * loaded and not counted.
 */
import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

export type Loaded = {
  /** Project files, relative to its root. */
  readonly files: readonly string[];
  /** Packages, each with the file that was first seen to load it. */
  readonly packages: ReadonlyMap<string, string>;
};

const patterns = [
  // import … from "x", export … from "x"; `import type` and `export type` load nothing.
  /^(?:import|export)\s+(?!type\b)[^;"]*?\bfrom\s+"(?<name>[^"]+)"/gm,
  /^import\s+"(?<name>[^"]+)"/gm,
  /\bimport\("(?<name>[^"]+)"\)/g,
  /\brequire(?:\.resolve)?\("(?<name>[^"]+)"\)/g,
  // Programs and threads that are started by their file.
  /new URL\("(?<name>[^"]+\.ts)", import\.meta\.url\)/g,
];

/** Names that a source file loads, as they are written. */
export function importsOf(source: string): readonly string[] {
  const code = source.replaceAll(/^\s*(?:\/\/|\*|\/\*).*$/gm, "");
  const names = patterns.flatMap((pattern) => [...code.matchAll(pattern)].map(({ groups }) => groups?.["name"] ?? ""));
  return [...new Set(names)];
}

/** `@scope/name/path` → `@scope/name`; undefined for Node's own modules. */
export function packageOf(name: string): string | undefined {
  if (name.startsWith("node:")) return undefined;
  const parts = name.split("/");
  return parts.slice(0, name.startsWith("@") ? 2 : 1).join("/");
}

/** Everything that the entries load, directly or not. */
export async function walkImports(root: string, entries: readonly string[]): Promise<Loaded> {
  const files = new Set<string>();
  const packages = new Map<string, string>();
  const waiting = [...entries];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const name of importsOf(await readFile(join(root, file), "utf8"))) {
      if (/^\.\.?\//.test(name) || name.endsWith(".ts")) waiting.push(normalize(join(dirname(file), name)));
      else {
        const found = packageOf(name);
        if (found !== undefined && !packages.has(found)) packages.set(found, file);
      }
    }
  }
  return { files: [...files].sort(), packages };
}
