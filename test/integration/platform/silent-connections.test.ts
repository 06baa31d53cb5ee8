import { afterAll, beforeAll, expect, it } from "vitest";
import { inTransaction, openPool, runStatement } from "../../../services/platform/database/pool.ts";
import { startTcpProxy, type TcpProxy } from "../../support/fault/tcp-proxy.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";

const connections = 4;
const statementTimeoutMs = 200;
const unavailable = { code: "DATABASE_UNAVAILABLE" };

let postgres: TestPostgres;
let link: TcpProxy;
let url: URL;
beforeAll(async () => {
  postgres = await startTestPostgres();
  url = new URL(await postgres.createDatabase());
  link = await startTcpProxy({ port: Number(url.port) });
  url.port = String(link.port);
});
afterAll(async () => {
  await link.stop();
  await postgres.stop();
});

const ways = [
  ["a statement", (pool: ReturnType<typeof openPool>) => runStatement(pool, { name: "one", text: "select 1 as one" }, [])],
  [
    "a transaction",
    (pool: ReturnType<typeof openPool>) => inTransaction(pool, async (one) => (await one.query<{ one: number }>("select 1 as one")).rows),
  ],
] as const;

it.each(ways)("%s that meets a silent connection fails, and the next one meets a new one, however many were silent", async (_name, ask) => {
  const pool = openPool({ url: url.href, applicationName: "test", connections, statementTimeoutMs });
  // As many at once as there may be connections.
  await Promise.all(Array.from({ length: connections }, () => pool.query("select pg_sleep(0.1)")));
  expect(pool.idleCount).toBe(connections);
  link.abandon("up", "down");
  await expect(ask(pool)).rejects.toMatchObject(unavailable);
  expect(await ask(pool)).toEqual([{ one: 1 }]);
  await pool.end();
});
