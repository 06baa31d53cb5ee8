/**
 * Postgres and NATS of `up`, as lives that a keeper can keep.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../platform/programs/free-port.ts";
import { findNatsServer, startNats } from "../../platform/programs/nats.ts";
import { startPostgres } from "../../platform/programs/postgres.ts";
import type { DataLayout } from "../data-folder.ts";
import type { Life } from "./keeper.ts";
import { type LogFile, openLogFile } from "./log-file.ts";
import type { UpSettings } from "./settings.ts";

/** What embedded programs are started with. */
export type Embedded = { readonly settings: UpSettings; readonly layout: DataLayout; readonly searchPath: string | undefined };

type Previous = Readonly<Record<string, string>> | undefined;

/** A life of the database; `facts.url` stays the same from life to life. */
export async function beginPostgres({ settings, layout }: Embedded, previous: Previous): Promise<Life> {
  const log = openLogFile(join(layout.logs, "postgres.log"));
  const port = Number(previous?.["port"] ?? 0);
  const server = await closingOnFailure(log, () =>
    startPostgres({ folder: layout.postgres, ephemeral: settings.isEphemeral, onLog: log.line, ...(port === 0 ? {} : { port }) }),
  );
  void server.ended.then(() => log.close());
  const processId = Number((await readFile(join(layout.postgres, "postmaster.pid"), "utf8").catch(() => "0")).split("\n")[0]);
  return { processId, facts: { url: server.url, port: String(server.port) }, ended: server.ended, stop: () => server.stop() };
}

/** A life of NATS; `facts.url` stays the same from life to life. */
export async function beginNats({ settings, layout, searchPath }: Embedded, previous: Previous): Promise<Life> {
  const { natsServerPath: configured, cacheFolder } = settings;
  const program = previous?.["program"] ?? (await findNatsServer({ configured, cacheFolder, searchPath })).path;
  const port = Number(previous?.["port"] ?? (await freePort()));
  const log = openLogFile(join(layout.logs, "nats.log"));
  const server = await closingOnFailure(log, () => startNats({ program, folder: layout.nats, port, onLog: log.line }));
  void server.ended.then(() => log.close());
  const facts = { url: `nats://127.0.0.1:${port}`, port: String(port), program };
  return { processId: server.processId, facts, ended: server.ended, stop: () => server.stop() };
}

async function closingOnFailure<T>(log: LogFile, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (thrown) {
    log.close();
    throw thrown;
  }
}
