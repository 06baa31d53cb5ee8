/**
 * Where a farm of this machine keeps its data, and the endpoint file by which other commands find it.
 */
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import type { Environment } from "../platform/config.ts";
import { flushFolder } from "../platform/flush-folder.ts";
import { makeFolder } from "../platform/make-folder.ts";

/** Places inside one data folder. */
export type DataLayout = {
  readonly folder: string;
  readonly postgres: string;
  readonly nats: string;
  readonly artifacts: string;
  readonly coordinator: string;
  readonly logs: string;
  readonly lockFile: string;
  readonly processesFile: string;
  readonly farmFile: string;
  /** Where the farm's artifacts are, when not in this folder; stays when the farm stops. */
  readonly storeFile: string;
  /** There only in a backup, and where one was copied to (backup/backup-note.ts). */
  readonly backupFile: string;
  worker(name: string): string;
};

/** The layout is part of what survives a restart: names never change. */
export function layoutOf(folder: string): DataLayout {
  return {
    folder,
    postgres: join(folder, "postgres"),
    nats: join(folder, "nats"),
    artifacts: join(folder, "artifacts"),
    coordinator: join(folder, "coordinator"),
    logs: join(folder, "logs"),
    lockFile: join(folder, "up.lock"),
    processesFile: join(folder, "processes.json"),
    farmFile: join(folder, "farm.json"),
    storeFile: join(folder, "store.json"),
    backupFile: join(folder, "backup.json"),
    worker: (name) => join(folder, "workers", name),
  };
}

/** As root /var/lib/vapfarm (the database runs as another user, who cannot enter /root), else below the user's data home. */
export function defaultDataFolder(environment: Environment, isRoot: boolean): string {
  if (isRoot) return "/var/lib/vapfarm";
  const dataHome = environment["XDG_DATA_HOME"];
  return join(dataHome === undefined || dataHome === "" ? join(homedir(), ".local", "share") : dataHome, "vapfarm");
}

/** --data, else VAPFARM_DATA, else the default. */
export function dataFolderOf(given: string | undefined, environment: Environment): string {
  const named = given ?? environment["VAPFARM_DATA"];
  if (named !== undefined && named !== "") return resolve(named);
  return defaultDataFolder(environment, process.getuid?.() === 0);
}

const farmFileSchema = z.object({
  grpcAddress: z.string(),
  natsUrl: z.string(),
  databaseUrl: z.string(),
  artifacts: z.string(),
  models: z.string(),
  upProcessId: z.number(),
  processes: z.array(z.object({ name: z.string(), processId: z.number(), httpAddress: z.string().optional() })),
});

/** What a running farm tells other commands of its user (the database's password too, so nobody else may read it). */
export type FarmFile = z.output<typeof farmFileSchema>;

/** Undefined when there is no readable endpoint file: no farm runs on that folder. */
export async function readFarmFile(path: string): Promise<FarmFile | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return farmFileSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Readers see the whole file or the one before. */
export async function writeFarmFile(path: string, farm: FarmFile): Promise<void> {
  await writeAtomically(path, `${JSON.stringify(farm, undefined, 2)}\n`);
}

const storeFileSchema = z.object({ artifacts: z.string() });

/** The address of the artifact store that the folder's farm had last; undefined: it is in the folder. */
export async function readStoreAddress({ storeFile }: DataLayout): Promise<string | undefined> {
  const text = await readFile(storeFile, "utf8").catch(() => undefined);
  return text === undefined ? undefined : storeFileSchema.parse(JSON.parse(text)).artifacts;
}

/** Notes where the farm's artifacts are. */
export async function writeStoreAddress({ storeFile, artifacts }: DataLayout, address: string): Promise<void> {
  // A folder may be copied elsewhere: of its own store the address would be wrong there.
  if (address === `folder:${artifacts}`) await rm(storeFile, { force: true });
  else await writeAtomically(storeFile, `${JSON.stringify({ artifacts: address })}\n`);
}

/** Replaces a small private file in one step, for good. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const partial = `${path}.partial`;
  await rm(partial, { force: true });
  const file = await open(partial, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
  await flushFolder(dirname(path));
}

/** Makes a folder that others may pass through (the database's user must) but not list, whatever the umask says; one that was there keeps its mode. */
export async function makePassableFolder(folder: string): Promise<void> {
  if ((await makeFolder(folder)) !== undefined) await chmod(folder, 0o711);
}

/** Makes the folders of a farm. */
export async function makeDataFolders(layout: DataLayout): Promise<void> {
  await makePassableFolder(layout.folder);
  for (const folder of [layout.nats, layout.artifacts, layout.coordinator, layout.logs]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
}
