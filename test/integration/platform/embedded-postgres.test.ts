import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startPostgres } from "../../../services/platform/programs/postgres.ts";

let base: string;
let folder: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "vapfarm-pg-"));
  await chmod(base, 0o755);
  folder = join(base, "data");
});
afterEach(() => rm(base, { recursive: true, force: true }));

async function query(url: string, text: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as readonly unknown[];
  } finally {
    await client.end();
  }
}

/** Starts a server from a process of its own; resolves with its URL once it answers. */
async function startElsewhere() {
  const program = join(import.meta.dirname, "../../support/postgres-owner.ts");
  const child = spawn(process.execPath, [program, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const [url] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { child, url };
}

const serverPid = async (): Promise<number> => Number((await readFile(join(folder, "postmaster.pid"), "utf8")).split("\n")[0]);

/** Resolves when the process is gone. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("what was committed survives a restart, and stopping twice is safe", async () => {
  const first = await startPostgres({ folder, ephemeral: false });
  await query(first.url, "create table kept as select 42 as n");
  await first.stop();
  await first.stop();
  const second = await startPostgres({ folder, ephemeral: false });
  expect(await query(second.url, "select n from kept")).toEqual([{ n: 42 }]);
  await second.stop();
});

test("it listens on loopback TCP only, and asks for its password", async () => {
  const server = await startPostgres({ folder, ephemeral: true });
  expect(
    await query(server.url, "select current_setting('listen_addresses') as a, current_setting('unix_socket_directories') as s"),
  ).toEqual([{ a: "127.0.0.1", s: "" }]);
  const stranger = new URL(server.url);
  stranger.password = "guess";
  await expect(query(stranger.href, "select 1")).rejects.toThrow("password");
  await server.stop();
});

test("only an ephemeral server gives up durability", async () => {
  const settings = "select current_setting('fsync') as f, current_setting('synchronous_commit') as s";
  const durable = await startPostgres({ folder, ephemeral: false });
  expect(await query(durable.url, settings)).toEqual([{ f: "on", s: "on" }]);
  await durable.stop();
  const ephemeral = await startPostgres({ folder, ephemeral: true });
  expect(await query(ephemeral.url, settings)).toEqual([{ f: "off", s: "off" }]);
  await ephemeral.stop();
});

test("the server ends when its owner is killed, and the next start finds the data", async () => {
  const { child, url } = await startElsewhere();
  await query(url, "create table kept as select 1 as n");
  const pid = await serverPid();
  child.kill("SIGKILL");
  await gone(pid);
  const next = await startPostgres({ folder, ephemeral: false });
  expect(await query(next.url, "select n from kept")).toEqual([{ n: 1 }]);
  await next.stop();
});

test("a pid file that a killed server left is no obstacle", async () => {
  const { child } = await startElsewhere();
  process.kill(await serverPid(), "SIGKILL");
  child.kill("SIGKILL");
  const next = await startPostgres({ folder, ephemeral: false });
  expect(await query(next.url, "select 1 as n")).toEqual([{ n: 1 }]);
  await next.stop();
});

test("a server that outlived owner and guardian is ended and replaced", async () => {
  const { child } = await startElsewhere();
  const pid = await serverPid();
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const guardian = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]);
  const group = (await readFile(`/proc/${guardian}/task/${guardian}/children`, "utf8")).trim().split(" ").map(Number);
  for (const each of group.filter((other) => other !== pid)) process.kill(each, "SIGKILL");
  process.kill(guardian, "SIGKILL");
  child.kill("SIGKILL");
  await gone(guardian);
  const next = await startPostgres({ folder, ephemeral: false });
  await gone(pid);
  expect(await query(next.url, "select 1 as n")).toEqual([{ n: 1 }]);
  await next.stop();
});

test("a folder that another living farm uses is refused", async () => {
  const { child } = await startElsewhere();
  await expect(startPostgres({ folder, ephemeral: false })).rejects.toMatchObject({
    code: "PROCESS_START_FAILED",
    message: /another farm/,
  });
  const pid = await serverPid();
  child.kill("SIGKILL");
  await gone(pid);
});
