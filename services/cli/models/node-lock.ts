/**
 * One process at a time changes a node's folder of models, on whatever container of the node it runs.
 *
 * A process id says nothing across containers, and a container's end frees no file. So the holder listens on a socket beside its lock file: the
 * kernel closes that with its process, and whoever connects learns at once whether it lives, frozen or not. A lock of another boot, or of another
 * machine on a shared volume, is judged by its heartbeat: dead when its file has not been touched for as long as `staleMs`, by the asker's clock.
 *
 * Locks are numbered. A lock is taken by making the next number's link, whole and only once, and it is held while no higher number is there;
 * a number is never given again, so that who saw a dead lock long ago cannot take the place of one that came since. What a lock guards is safe
 * without it: bytes are hashed, folders renamed. It saves the work of doing it twice.
 *
 * Nothing is written into a file: a number links to the mark of its holder, whose socket's name says who that is. So a lock is had on a disk
 * that is full, where gc must work.
 */
import { randomBytes } from "node:crypto";
import { lstat, lutimes, mkdir, open, readdir, readFile, readlink, rm, symlink } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";

/** Who holds a lock, for people and for those who wait. */
export type LockHolder = {
  readonly host: string;
  readonly processId: number;
  readonly boot: string;
  readonly since: string;
  /** Name of the file. */
  readonly socket: string;
};

export type NodeLock = {
  /** Aborts when another process has taken the lock although this one lives. */
  readonly lost: AbortSignal;
  /** Never fails: what the work under the lock failed of is what counts. */
  release(): Promise<void>;
};

export type LockOptions = {
  readonly signal: AbortSignal;
  /** Longest wait for another's end; MODEL_FOLDER_BUSY after that. */
  readonly waitMs: number;
  /** Told once of each holder that is waited for. */
  readonly onWait: (holder: LockHolder) => void;
  readonly heartbeatMs?: number;
  readonly staleMs?: number;
  readonly pollMs?: number;
};

const folderName = ".lock";
const defaults = { heartbeatMs: 2_000, staleMs: 20_000, pollMs: 250 } as const;

/** Takes the folder's lock, waiting for whoever has it. */
export async function takeNodeLock(root: string, asked: LockOptions): Promise<NodeLock> {
  const options = { ...defaults, ...asked };
  const folder = join(root, folderName);
  await mkdir(folder, { recursive: true });
  const watched = new Watched(options.staleMs);
  const startedMs = performance.now();
  let told = "";
  for (;;) {
    options.signal.throwIfAborted();
    const top = await highest(folder);
    const holder = top === undefined ? undefined : await readHolder(folder, top);
    const isTaken = top !== undefined && holder !== undefined && (await watched.isAlive(folder, top, holder));
    const lock = isTaken ? undefined : await tryTake(folder, (top ?? 0) + 1, options.heartbeatMs);
    if (lock !== undefined) return lock;
    if (performance.now() - startedMs > options.waitMs) throw busy(root, holder);
    if (holder !== undefined && told !== holder.socket) {
      told = holder.socket;
      options.onWait(holder);
    }
    await pause(options.pollMs, options.signal);
  }
}

function busy(root: string, holder: LockHolder | undefined): FarmError {
  const who = holder === undefined ? "another process" : `process ${holder.processId} on ${holder.host} since ${holder.since}`;
  return new FarmError("MODEL_FOLDER_BUSY", { message: `${who} changes the models of ${root}` });
}

async function highest(folder: string): Promise<number | undefined> {
  const numbers = (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number);
  return numbers.length === 0 ? undefined : Math.max(...numbers);
}

/** Undefined when nobody holds it any more: its socket is gone. */
async function readHolder(folder: string, number: number): Promise<LockHolder | undefined> {
  const mark = await readlink(join(folder, String(number))).catch(() => undefined);
  const sockets = mark === undefined ? [] : (await readdir(folder)).map(readSocketName);
  return sockets.find((each) => each?.mark === mark)?.holder;
}

/** Long enough for a disk's boots, short enough for a path. */
const bootDigits = 12;
const hostLetters = 36;

async function bootId(): Promise<string> {
  const id = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => hostname());
  return id.replaceAll(/[^A-Za-z0-9]/g, "").slice(0, bootDigits);
}

/** Letters that a host's name cannot have stand between. */
async function socketName(mark: string): Promise<string> {
  const host = hostname().replaceAll(/[^A-Za-z0-9.-]/g, "-").slice(0, hostLetters);
  return `${mark}~${process.pid}~${Date.now().toString(36)}~${await bootId()}~${host}.sock`;
}

function readSocketName(socket: string): { readonly mark: string; readonly holder: LockHolder } | undefined {
  const pattern = /^(?<mark>[0-9a-f]{8})~(?<id>\d+)~(?<since>[0-9a-z]{1,11})~(?<boot>[A-Za-z0-9]+)~(?<host>.*)\.sock$/;
  const { mark, id, since = "", boot = "", host = "" } = pattern.exec(socket)?.groups ?? {};
  if (mark === undefined) return undefined;
  return { mark, holder: { host, processId: Number(id), boot, socket, since: new Date(Number.parseInt(since, 36)).toISOString() } };
}

/** Whether holders live, and since when one's file was seen unchanged. */
class Watched {
  readonly #staleMs: number;
  #seen: { readonly mark: string; readonly sinceMs: number } | undefined;

  constructor(staleMs: number) {
    this.#staleMs = staleMs;
  }

  async isAlive(folder: string, number: number, holder: LockHolder): Promise<boolean> {
    if (holder.boot === (await bootId())) return await answers(folder, holder.socket);
    const status = await lstat(join(folder, String(number))).catch(() => undefined);
    const mark = `${number} ${status?.mtimeMs ?? ""}`;
    if (this.#seen?.mark !== mark) this.#seen = { mark, sinceMs: performance.now() };
    return performance.now() - this.#seen.sinceMs < this.#staleMs;
  }
}

/** A socket's path has at most 107 bytes, and a node's folder may be longer: it is reached through the folder's own handle. */
async function withShortPath<T>(folder: string, work: (short: string) => Promise<T>): Promise<T> {
  if (process.platform !== "linux") return await work(folder);
  const handle = await open(folder, "r");
  try {
    return await work(`/proc/self/fd/${handle.fd}`);
  } finally {
    await handle.close();
  }
}

function answers(folder: string, socket: string): Promise<boolean> {
  return withShortPath(
    folder,
    (short) =>
      new Promise((resolve) => {
        const connection = createConnection(join(short, socket));
        connection.once("connect", () => {
          connection.destroy();
          resolve(true);
        });
        connection.once("error", () => resolve(false));
      }),
  );
}

function listen(folder: string, socket: string): Promise<Server> {
  return withShortPath(
    folder,
    (short) =>
      new Promise((resolve, reject) => {
        const server = createServer((connection) => connection.destroy());
        server.once("error", reject);
        server.listen(join(short, socket), () => resolve(server));
        server.unref();
      }),
  );
}

/** Undefined when another was faster. */
async function tryTake(folder: string, number: number, heartbeatMs: number): Promise<NodeLock | undefined> {
  const mark = randomBytes(4).toString("hex");
  const socket = await socketName(mark);
  const server = await listen(folder, socket);
  const path = join(folder, String(number));
  const isMade = await makeOnce(path, mark);
  if (!isMade || (await highest(folder)) !== number) {
    server.close();
    await rm(join(folder, socket), { force: true });
    if (isMade) await rm(path, { force: true });
    return undefined;
  }
  await removeOlder(folder, number, socket);
  return hold({ folder, number, path, socket, server, heartbeatMs });
}

/** False when another made it. */
async function makeOnce(path: string, mark: string): Promise<boolean> {
  try {
    await symlink(mark, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  }
}

/** Lower numbers with their sockets. Sockets of those who try at this moment are left. */
async function removeOlder(folder: string, number: number, own: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^\d+$/.test(name) || Number(name) >= number) continue;
    const older = await readHolder(folder, Number(name));
    if (older !== undefined && older.socket !== own) await rm(join(folder, older.socket), { force: true });
    await rm(join(folder, name), { force: true });
  }
}

type Held = {
  readonly folder: string;
  readonly number: number;
  readonly path: string;
  readonly socket: string;
  readonly server: Server;
  readonly heartbeatMs: number;
};

function hold({ folder, number, path, socket, server, heartbeatMs }: Held): NodeLock {
  const lost = new AbortController();
  const beat = async (): Promise<void> => {
    if (((await highest(folder)) ?? 0) > number) lost.abort(new FarmError("MODEL_FOLDER_BUSY", { message: "another process took the lock" }));
    const now = new Date();
    await lutimes(path, now, now);
  };
  // A beat that fails is made good by the next one.
  const timer = setInterval(() => void beat().catch(() => undefined), heartbeatMs);
  timer.unref();
  return {
    lost: lost.signal,
    async release() {
      clearInterval(timer);
      // The number stays, so that it is not given again; without a socket nobody holds it. Where that cannot be removed, nobody answers on it.
      await rm(join(folder, socket), { force: true }).catch(() => undefined);
      server.close();
    },
  };
}
