import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";
import { createWorker, openWorld, submitBatch, task, type World } from "../../support/store-world.ts";
import { until } from "../../support/until.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

/** Rows of the tables that were read so far, as connections tell when they end. */
async function rowsRead({ sql }: World): Promise<number> {
  const connections = "select 1 from pg_stat_activity where application_name = 'store' and datname = current_database()";
  await until("the store's connections end", async () => (await sql(connections)).length === 0);
  const [row] = await sql<{ rows: number }>(
    "select sum(seq_tup_read + idx_tup_fetch)::integer as rows from pg_stat_user_tables where relname in ('render', 'task_user')",
  );
  return row?.rows ?? 0;
}

/** Runs work in a store whose connections end before it is answered. */
async function apart(url: string, work: (world: World) => Promise<void>): Promise<void> {
  const world = await openWorld(url);
  await work(world).finally(() => world.close());
}

async function readByClaims(renders: number, claims: number): Promise<number> {
  const url = await postgres.createDatabase();
  const plans = Array.from({ length: renders }, (_, index) => [task(`${index} a`), task(`${index} b`, { after: [`${index} a`] })]);
  await apart(url, async ({ store }) => {
    await submitBatch(store, plans);
  });
  const onlooker = await openWorld(url);
  await onlooker.store.close();
  const before = await rowsRead(onlooker);
  await apart(url, async ({ store }) => {
    const worker = createWorker(store);
    for (let claim = 0; claim < claims; claim += 1) await worker.succeed(await worker.claim());
  });
  const read = (await rowsRead(onlooker)) - before;
  await onlooker.pool.end();
  return read;
}

test("a claim or a report reads less than its job has renders", async () => {
  const [renders, claims] = [400, 10];
  expect(await readByClaims(renders, claims)).toBeLessThan(2 * claims * renders);
});
