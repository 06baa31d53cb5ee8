import { afterAll, beforeAll, expect, test } from "vitest";
import { inTransaction, openPool } from "../../../services/platform/database/pool.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

test("a connection that breaks between two statements of a transaction fails it, and not the process", async () => {
  const pool = openPool({ url: await postgres.createDatabase(), applicationName: "test", connections: 2 });
  const broken = inTransaction(pool, async (connection) => {
    const { rows } = await connection.query<{ pid: number }>("select pg_backend_pid() as pid");
    const gone = new Promise<void>((resolve) => {
      connection.once("end", resolve);
    });
    await pool.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
    await gone;
    await connection.query("select 1");
  });
  await expect(broken).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  expect(await inTransaction(pool, (connection) => Promise.resolve(connection.listenerCount("error")))).toBe(1);
  expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await pool.end();
});
