/**
 * A copy of a running Postgres's data folder that starts (Postgres' low-level backup API).
 *
 * Files are copied while they change; what makes them whole again is the write-ahead log from the backup's start to its end, which is
 * copied last and kept from removal meanwhile by a replication slot of this session. The copy has a `backup_label`: Postgres started on it
 * replays that log first. Files and folders are flushed before this returns.
 */
import { randomBytes } from "node:crypto";
import { chown, copyFile, lstat, mkdir, open, readdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { flushFolder } from "../flush-folder.ts";

export type BaseBackup = {
  readonly url: string;
  /** Postgres' data folder, readable by this process. */
  readonly folder: string;
  /** Must not exist. */
  readonly target: string;
};

/** Folders whose content belongs to a running server, and files that name it. */
const leftEmpty = ["pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"];
const leftOut = ["postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map", "backup_manifest"];
const segmentPattern = /^[0-9A-F]{24}$/;

/** Copies; returns the copy's bytes. Throws DATABASE_UNAVAILABLE, or BACKUP_FAILED when the copy would not be whole. */
export async function copyRunningDatabase(options: BaseBackup): Promise<number> {
  const client = new pg.Client({ connectionString: options.url, application_name: "vapfarm-backup", connectionTimeoutMillis: 10_000 });
  await client.connect().catch((thrown: unknown) => {
    throw toFarmError(thrown, "DATABASE_UNAVAILABLE");
  });
  try {
    return await copyDuringBackup(client, options);
  } catch (thrown) {
    throw toFarmError(thrown, "BACKUP_FAILED");
  } finally {
    // Ends the backup, and drops the slot, if they are still there.
    await client.end();
  }
}

async function copyDuringBackup(client: pg.Client, { folder, target }: BaseBackup): Promise<number> {
  const found = await client.query<{ folder: string }>("select current_setting('data_directory') as folder");
  if (found.rows[0]?.folder !== (await realpath(folder))) {
    throw new FarmError("BACKUP_FAILED", { message: `the farm's database does not lie in ${folder}: back it up with its own tools` });
  }
  const slot = `vapfarm_backup_${randomBytes(6).toString("hex")}`;
  await client.query("select pg_create_physical_replication_slot($1, true, true)", [slot]);
  await client.query("select pg_backup_start('vapfarm backup', true)");
  const copying: Copying = { bytes: 0, rootDevice: folder };
  await copyFolder(folder, target, copying);
  const stopped = await client.query<{ label: string; tablespaces: string; last: string }>(
    `select labelfile as label, coalesce(spcmapfile, '') as tablespaces, pg_walfile_name(lsn) as last from pg_backup_stop(false)`,
  );
  const [end] = stopped.rows;
  if (end === undefined || end.tablespaces !== "")
    throw new FarmError("BACKUP_FAILED", { message: "the database has tablespaces elsewhere" });
  const first = /\(file ([0-9A-F]{24})\)/.exec(end.label)?.[1] ?? "";
  await copyLog({ folder, target, first, last: end.last }, copying);
  await writeOwned(join(target, "backup_label"), end.label, folder);
  await flushFolder(target);
  return copying.bytes;
}

type Copying = { bytes: number; readonly rootDevice: string };

async function copyFolder(from: string, to: string, copying: Copying): Promise<void> {
  await makeLike(from, to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      if (from === copying.rootDevice && leftEmpty.includes(entry.name)) await makeLike(source, target);
      else await copyFolder(source, target, copying);
    } else if (entry.isFile() && !leftOut.includes(entry.name) && !isTemporary(entry.name)) {
      await copyOne(source, target, copying);
    }
  }
  await flushFolder(to);
}

const isTemporary = (name: string): boolean => name.startsWith("pgsql_tmp") || name.startsWith("pg_internal.init");

/** A folder of the same owner and mode; `pg_wal` has subfolders that a server expects. */
async function makeLike(from: string, to: string): Promise<void> {
  const { mode, uid, gid } = await lstat(from);
  await mkdir(to, { mode: mode & 0o777 });
  if (process.getuid?.() === 0) await chown(to, uid, gid);
}

async function copyOne(from: string, to: string, copying: Copying): Promise<void> {
  try {
    await copyFile(from, to);
  } catch (thrown) {
    // A relation that was dropped meanwhile: the log drops it again.
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return;
    throw thrown;
  }
  const { uid, gid, size } = await lstat(from).catch(() => lstat(to));
  if (process.getuid?.() === 0) await chown(to, uid, gid);
  await flushFile(to);
  copying.bytes += size;
}

async function flushFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

type LogRange = { readonly folder: string; readonly target: string; readonly first: string; readonly last: string };

/** The segments from the backup's start to its end, each of them. */
async function copyLog({ folder, target, first, last }: LogRange, copying: Copying): Promise<void> {
  const names = (await readdir(join(folder, "pg_wal"))).filter((name) => segmentPattern.test(name) && name >= first && name <= last).sort();
  if (names[0] !== first || names.at(-1) !== last) {
    throw new FarmError("BACKUP_FAILED", { message: `the write-ahead log from ${first} to ${last} is not all there` });
  }
  for (const name of names) await copyOne(join(folder, "pg_wal", name), join(target, "pg_wal", name), copying);
  await flushFolder(join(target, "pg_wal"));
}

async function writeOwned(path: string, text: string, like: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flush: true });
  const { uid, gid } = await lstat(like);
  if (process.getuid?.() === 0) await chown(path, uid, gid);
}
