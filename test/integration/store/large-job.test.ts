import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";
import { createWorker, openWorld, submitBatch, task, type World } from "../../support/store-world.ts";
import { until } from "../../support/until.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

/** Connections tell what they did when they end. */
async function storeEnded({ sql }: World): Promise<void> {
  const connections = "select 1 from pg_stat_activity where application_name = 'store' and datname = current_database()";
  await until("the store's connections end", async () => (await sql(connections)).length === 0);
}

/** Rows of renders and their users that were read so far. */
async function rowsRead(world: World): Promise<number> {
  await storeEnded(world);
  const [row] = await world.sql<{ rows: number }>(
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

test("events of a job that wait to be sent together touch none of its indexes", async () => {
  const url = await postgres.createDatabase();
  const plans = Array.from({ length: 20 }, (_, index) => [task(`${index}`)]);
  await apart(url, async ({ store }) => {
    await submitBatch(store, plans);
    const worker = createWorker(store);
    for (let claim = 0; claim < 10; claim += 1) await worker.succeed(await worker.claim());
  });
  const onlooker = await openWorld(url);
  await onlooker.store.close();
  await storeEnded(onlooker);
  const [job] = await onlooker.sql(
    "select n_tup_upd - n_tup_hot_upd <= 3 as is_in_place, n_tup_upd >= 20 as has_updates from pg_stat_user_tables where relname = 'job'",
  );
  await onlooker.pool.end();
  expect(job).toEqual({ is_in_place: true, has_updates: true });
});
