/**
 * A Postgres of our own: made in a folder, started on loopback TCP, ended with us.
 *
 * Invariants: one server per folder; the server never outlives the process that started it, and ends after
 * what uses it (`guardian`). Only `ephemeral` gives up durability.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { pause, withDeadline } from "../deadline.ts";
import { freePort } from "./free-port.ts";
import { spawnGuarded } from "./guardian.ts";
import { type Account, findPostgres, postgresAccount, type PostgresBinaries } from "./postgres-binaries.ts";
import { endOrphan } from "./postgres-orphan.ts";

const owner = "vapfarm";
const startMs = 60_000;
const stopMs = 30_000;
/** Longer than a statement of the farm may take. */
const leftoversMs = 20_000;

export type PostgresOptions = {
  /** Data folder; made when absent. As root it must not lie below /root. */
  readonly folder: string;
  /** Any free port when absent. */
  readonly port?: number;
  /** Relaxes fsync and synchronous_commit: a crash of the machine may lose everything. */
  readonly ephemeral: boolean;
  readonly onLog?: (line: string) => void;
};

export type RunningPostgres = {
  /** postgres://… of the farm's database, its password included. */
  readonly url: string;
  readonly port: number;
  /** Settles when the server has ended, wanted or not, with how it ended. */
  readonly ended: Promise<string>;
  /** Ends the server in order; safe to call twice. */
  stop(): Promise<void>;
};

type Launch = PostgresOptions & { readonly account: Account | undefined; readonly binaries: PostgresBinaries; readonly port: number };

/** Starts the folder's server, making folder and database first where they are missing. Throws PROCESS_START_FAILED. */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const account = await postgresAccount();
  const binaries = await findPostgres(account, `${options.folder}.programs`);
  await createCluster(options, account, binaries);
  await endOrphan(options.folder);
  const port = options.port ?? (await freePort());
  const server = await launchOnceFree({ ...options, account, binaries, port });
  const password = await readFile(passwordPath(options.folder), "utf8");
  const url = `postgres://${owner}:${password}@127.0.0.1:${port}/${owner}`;
  const ended = new Promise<string>((resolve) => server.once("exit", (code, signal) => resolve(String(signal ?? code))));
  await createDatabase(url);
  return { url, port, ended, stop: () => stop(server) };
}

const passwordPath = (folder: string): string => join(folder, "vapfarm.password");

/** Makes the cluster in a folder beside and renames it, so that a crash leaves none half made. */
async function createCluster(options: PostgresOptions, account: Account | undefined, binaries: PostgresBinaries): Promise<void> {
  const exists = await readFile(join(options.folder, "PG_VERSION")).then(
    () => true,
    () => false,
  );
  if (exists) return;
  const fresh = `${options.folder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  const passwordFile = `${options.folder}.password`;
  const password = randomBytes(18).toString("base64url");
  await writeFile(passwordFile, password, { mode: 0o600 });
  for (const path of account === undefined ? [] : [fresh, passwordFile]) await chown(path, account?.uid ?? 0, account?.gid ?? 0);
  const flags = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", ...(options.ephemeral ? ["--no-sync"] : [])];
  await runInitdb([binaries.initdb, `--pgdata=${fresh}`, `--username=${owner}`, `--pwfile=${passwordFile}`, ...flags], account);
  await rename(passwordFile, passwordPath(fresh));
  await rename(fresh, options.folder);
}

async function runInitdb(command: readonly string[], account: Account | undefined): Promise<void> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { ...account, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new FarmError("PROCESS_START_FAILED", { message: `initdb ended with ${String(code)}: ${errors.trim()}` });
}

function settings(options: Launch): readonly string[] {
  const base = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100", "shared_buffers=64MB"];
  const relaxed = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"];
  return [...base, ...(options.ephemeral ? relaxed : [])].flatMap((setting) => ["-c", setting]);
}

/** A server that was killed leaves backends that hold its memory until they notice, at the end of what they do at the moment. */
async function launchOnceFree(options: Launch): Promise<ChildProcess> {
  const lastMs = performance.now() + leftoversMs;
  for (;;) {
    try {
      return await launch(options);
    } catch (thrown) {
      if (!toFarmError(thrown).message.includes("pre-existing shared memory block") || performance.now() > lastMs) throw thrown;
      await pause(250);
    }
  }
}

async function launch(options: Launch): Promise<ChildProcess> {
  const args = [options.binaries.postgres, "-D", options.folder, "-p", String(options.port), ...settings(options)];
  const child = spawnGuarded({ command: args, endSignal: "INT", account: options.account });
  const lines: string[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      options.onLog?.(line);
      if (lines.push(line) > 20) lines.shift();
      if (line.includes("database system is ready to accept connections")) resolve();
    });
    child.once("error", reject);
    child.once("exit", () => {
      reject(new FarmError("PROCESS_START_FAILED", { message: `Postgres did not start: ${lines.join("\n")}` }));
    });
  });
  try {
    await withDeadline(ready, { ms: startMs, code: "PROCESS_START_FAILED", what: "the start of Postgres" });
  } catch (thrown) {
    await stop(child);
    throw thrown;
  }
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.stdin?.end();
  await withDeadline(ended, { ms: stopMs, what: "the end of Postgres" });
}

async function createDatabase(url: string): Promise<void> {
  const admin = new URL(url);
  admin.pathname = "/postgres";
  const client = new pg.Client({ connectionString: admin.href, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const found = await client.query("select 1 from pg_database where datname = $1", [owner]);
    if (found.rowCount === 0) await client.query(`create database ${owner}`);
  } finally {
    await client.end();
  }
}
