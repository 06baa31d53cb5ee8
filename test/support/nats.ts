/**
 * A real NATS server with JetStream for a test file, on a free loopback port with a folder of its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer, type RunningNats, startNats } from "../../services/platform/programs/nats.ts";

export type TestNats = {
  readonly url: string;
  /** Ends the server as a crash of its machine would look to clients; its files stay. */
  halt(): Promise<void>;
  /** Starts it again on the same port and files, or on none after `lose`. */
  resume(): Promise<void>;
  /** Throws all JetStream files away; only while halted. */
  lose(): Promise<void>;
  stop(): Promise<void>;
};

const cacheFolder = join(import.meta.dirname, "../../.cache");

/** Starts a server; call `stop` in afterAll. */
export async function startTestNats(): Promise<TestNats> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-nats-"));
  const { path } = await findNatsServer({ configured: process.env["VAPFARM_NATS_SERVER"], cacheFolder, searchPath: process.env["PATH"] });
  const port = await freePort();
  const start = (): Promise<RunningNats> => startNats({ program: path, folder: join(folder, "data"), port, onLog: () => undefined });
  let running = await start();
  return {
    url: `nats://127.0.0.1:${port}`,
    halt: () => running.stop(),
    async resume() {
      running = await start();
    },
    lose: () => rm(join(folder, "data"), { recursive: true, force: true }),
    async stop() {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A loopback port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
