/**
 * The installation: packages as the lock names them, generated code there and not older than what it is made from.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Check, fail, ok, type Verdict, warn } from "../verdict.ts";

/** What of the program is there. */
export type InstallFindings = {
  /** Name → version, of package-lock.json; undefined when it cannot be read. */
  readonly locked: Readonly<Record<string, string>> | undefined;
  /** The same, of what lies in node_modules. */
  readonly installed: Readonly<Record<string, string>>;
  /** Times of change in ms; undefined when there is none. */
  readonly newestSource: number | undefined;
  readonly oldestGenerated: number | undefined;
};

/** Pure. */
export function judgeInstall({ locked, installed, newestSource, oldestGenerated }: InstallFindings): readonly Verdict[] {
  return [judgePackages(locked, installed), judgeGenerated(newestSource, oldestGenerated)];
}

function judgePackages(locked: InstallFindings["locked"], installed: InstallFindings["installed"]): Verdict {
  const remedy = "run `make setup` in the clone";
  if (locked === undefined) return fail("packages", "package-lock.json cannot be read", "clone the repository again");
  const wrong = Object.entries(locked).filter(([name, version]) => installed[name] !== version);
  if (wrong.length === 0) return ok("packages", `${Object.keys(locked).length} as package-lock.json names them`);
  const shown = wrong.slice(0, 3).map(([name, version]) => `${name} is ${installed[name] ?? "missing"}, not ${version}`);
  const more = wrong.length > shown.length ? `, and ${wrong.length - shown.length} more` : "";
  return fail("packages", `${shown.join("; ")}${more}`, remedy);
}

function judgeGenerated(newestSource: number | undefined, oldestGenerated: number | undefined): Verdict {
  const remedy = "run `npm run generate` in the clone";
  if (oldestGenerated === undefined) return fail("generated code", "services/gen is missing or empty", remedy);
  if (newestSource !== undefined && newestSource > oldestGenerated) {
    return warn("generated code", "services/gen is older than proto/ or prisma/schema.prisma", remedy);
  }
  return ok("generated code", "there, and not older than its sources");
}

/** Looks at the clone or image. */
export const installCheck: Check = {
  name: "installation",
  async run({ context: { projectFolder } }) {
    const installed = await versionsOf(join(projectFolder, "node_modules/.package-lock.json"));
    const sources = await timesBelow(projectFolder, ["proto", "prisma/schema.prisma"]);
    const generated = await timesBelow(projectFolder, ["services/gen"]);
    return judgeInstall({
      locked: await versionsOf(join(projectFolder, "package-lock.json"), true),
      installed: installed ?? {},
      newestSource: sources.length === 0 ? undefined : Math.max(...sources),
      oldestGenerated: generated.length === 0 ? undefined : Math.min(...generated),
    });
  },
};

type LockFile = {
  readonly packages?: Readonly<Record<string, { readonly version?: string; readonly optional?: boolean; readonly dev?: boolean }>>;
};

/** Optional packages are for other machines, and an image may leave those of developers out. */
async function versionsOf(path: string, isRequired = false): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const { packages = {} } = JSON.parse(await readFile(path, "utf8")) as LockFile;
    const entries = Object.entries(packages).flatMap(([folder, { version, optional, dev }]) =>
      folder === "" || version === undefined || (isRequired && (optional === true || dev === true))
        ? []
        : [[folder.replace(/^node_modules\//, ""), version]],
    );
    return Object.fromEntries(entries) as Readonly<Record<string, string>>;
  } catch {
    return undefined;
  }
}

async function timesBelow(folder: string, paths: readonly string[]): Promise<readonly number[]> {
  const times: number[] = [];
  for (const path of paths) {
    const whole = join(folder, path);
    const found = await stat(whole).catch(() => undefined);
    if (found?.isFile() === true) times.push(found.mtimeMs);
    if (found?.isDirectory() !== true) continue;
    const entries = await readdir(whole, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && /\.(proto|ts)$/.test(entry.name));
    for (const { parentPath, name } of files) times.push((await stat(join(parentPath, name))).mtimeMs);
  }
  return times;
}
