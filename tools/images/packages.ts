/**
 * Which folders of node_modules packages need, by the lockfile: pure.
 */
import { z } from "zod";

const oneOrMore = z.union([z.array(z.string()), z.string().transform((name) => [name])]);
const entrySchema = z.object({
  dev: z.boolean().optional(),
  os: oneOrMore.optional(),
  cpu: oneOrMore.optional(),
  libc: oneOrMore.optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
  peerDependencies: z.record(z.string(), z.string()).optional(),
  peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.boolean().optional() })).optional(),
});
const lockSchema = z.object({ packages: z.record(z.string(), entrySchema) });

export type Lock = z.output<typeof lockSchema>;

export function parseLock(text: string): Lock {
  return lockSchema.parse(JSON.parse(text));
}

/** Folders (`node_modules/a`, `node_modules/a/node_modules/b`) that the named packages and all that they need on a platform lie in. */
export function foldersOf(lock: Lock, names: readonly string[], platform: Platform): readonly string[] {
  const found = new Set<string>();
  const waiting: string[] = [];
  const want = (name: string, from: string, isNeeded: boolean): void => {
    const folder = resolve(lock, name, from);
    if (folder !== undefined && !found.has(folder) && isFor(lock, folder, platform)) {
      found.add(folder);
      waiting.push(folder);
    }
    if (folder === undefined && isNeeded)
      throw new TypeError(`${from === "" ? "the project" : from} needs ${name}, which the lockfile lacks`);
  };
  for (const name of names) want(name, "", true);
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const entry = lock.packages[folder] ?? {};
    for (const name of Object.keys(entry.dependencies ?? {})) want(name, folder, entry.optionalDependencies?.[name] === undefined);
    for (const name of Object.keys(entry.optionalDependencies ?? {})) want(name, folder, false);
    for (const name of Object.keys(entry.peerDependencies ?? {})) {
      if (entry.peerDependenciesMeta?.[name]?.optional !== true) want(name, folder, false);
    }
  }
  return [...found].sort();
}

export type Platform = { readonly os: string; readonly cpu: string; readonly libc: string };

/** Whether a folder's package is for the platform. */
function isFor({ packages }: Lock, folder: string, { os, cpu, libc }: Platform): boolean {
  const entry = packages[folder] ?? {};
  const fits = (allowed: readonly string[] | undefined, own: string): boolean =>
    allowed === undefined || (!allowed.includes(`!${own}`) && (allowed.includes(own) || allowed.every((name) => name.startsWith("!"))));
  return fits(entry.os, os) && fits(entry.cpu, cpu) && fits(entry.libc, libc);
}

/** As Node looks: in the folder's own node_modules, then in those above it. */
function resolve(lock: Lock, name: string, from: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    const folder = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (lock.packages[folder] !== undefined) return folder;
    if (at === "") return undefined;
  }
}
