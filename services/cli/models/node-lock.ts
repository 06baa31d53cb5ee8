/**
 * One process at a time changes a node's folder of models, on whatever container of the node it runs.
 *
 * A process id says nothing across containers, and a container's end frees no file. So the holder listens on a socket beside its lock file: the
 * kernel closes that with its process, and whoever connects learns at once whether it lives, frozen or not. A lock of another boot, or of another
 * machine on a shared volume, is judged by its heartbeat: dead when its file has not been touched for as long as `staleMs`, by the asker's clock.
 *
 * Locks are numbered. A lock is taken by making the next number's file, whole and only once (link), and it is held while no higher number is there;
 * a number is never given again, so that who saw a dead lock long ago cannot take the place of one that came since. What a lock guards is safe
 * without it: bytes are hashed, folders renamed. It saves the work of doing it twice.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { FarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";

const lockSchema = z.object({
  state: z.enum(["held", "free"]),
  host: z.string(),
  processId: z.number().int(),
  boot: z.string(),
  socket: z.string(),
  since: z.string(),
});

/** Who holds a lock, for people and for those who wait. */
export type LockHolder = z.output<typeof lockSchema>;

export type NodeLock = {
  /** Aborts when another process has taken the lock although this one lives. */
  readonly lost: AbortSignal;
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
    if (holder?.state === "held" && told !== holder.socket) {
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

/** Undefined when its file is gone, or nobody could have written it. */
async function readHolder(folder: string, number: number): Promise<LockHolder | undefined> {
  try {
    return lockSchema.parse(JSON.parse(await readFile(join(folder, String(number)), "utf8")));
  } catch {
    return undefined;
  }
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => hostname())).trim();
}

/** Whether holders live, and since when one's file was seen unchanged. */
class Watched {
  readonly #staleMs: number;
  #seen: { readonly mark: string; readonly sinceMs: number } | undefined;

  constructor(staleMs: number) {
    this.#staleMs = staleMs;
  }

  async isAlive(folder: string, number: number, holder: LockHolder): Promise<boolean> {
    if (holder.state === "free") return false;
    if (holder.boot === (await bootId())) return await answers(folder, holder.socket);
    const status = await stat(join(folder, String(number))).catch(() => undefined);
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
  const socket = `${randomUUID()}.sock`;
  const server = await listen(folder, socket);
  const holder: LockHolder = {
    ...{ state: "held", host: hostname(), processId: process.pid, boot: await bootId(), socket },
    since: new Date().toISOString(),
  };
  const path = join(folder, String(number));
  const isMade = await makeOnce(folder, path, holder);
  if (!isMade || (await highest(folder)) !== number) {
    server.close();
    await rm(join(folder, socket), { force: true });
    if (isMade) await rm(path, { force: true });
    return undefined;
  }
  await removeOlder(folder, number, socket);
  return hold({ folder, number, path, holder, server, heartbeatMs });
}

/** The file is there with all of its text, or not at all; false when another made it. */
async function makeOnce(folder: string, path: string, holder: LockHolder): Promise<boolean> {
  const draft = join(folder, `${randomUUID()}.draft`);
  await writeFile(draft, JSON.stringify(holder));
  try {
    await link(draft, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Lower numbers with their sockets. Sockets and drafts of those who try at this moment are left. */
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
  readonly holder: LockHolder;
  readonly server: Server;
  readonly heartbeatMs: number;
};

function hold({ folder, number, path, holder, server, heartbeatMs }: Held): NodeLock {
  const lost = new AbortController();
  const beat = async (): Promise<void> => {
    if (((await highest(folder)) ?? 0) > number) lost.abort(new FarmError("MODEL_FOLDER_BUSY", { message: "another process took the lock" }));
    const now = new Date();
    await utimes(path, now, now);
  };
  // A beat that fails is made good by the next one.
  const timer = setInterval(() => void beat().catch(() => undefined), heartbeatMs);
  timer.unref();
  return {
    lost: lost.signal,
    async release() {
      clearInterval(timer);
      // The number stays, so that it is not given again.
      const draft = join(folder, `${randomUUID()}.draft`);
      await writeFile(draft, JSON.stringify({ ...holder, state: "free" }));
      if (lost.signal.aborted) await rm(draft, { force: true });
      else await rename(draft, path);
      server.close();
      await rm(join(folder, holder.socket), { force: true });
    },
  };
}
