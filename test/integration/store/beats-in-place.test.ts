import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";
import { createWorker, openWorld, submit, task } from "../../support/store-world.ts";
import { until } from "../../support/until.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

test("beats update sessions and attempts in place, also those that tell a checkpoint", async () => {
  const url = await postgres.createDatabase();
  const world = await openWorld(url);
  await submit(world.store, [task("only")]);
  const worker = createWorker(world.store);
  const claim = await worker.claim();
  for (let step = 1; step <= 30; step += 1) await worker.checkpoint(claim, step);
  await world.close();
  const onlooker = await openWorld(url);
  await onlooker.store.close();
  // Connections tell what they did when they end.
  const others = "select 1 from pg_stat_activity where application_name in ('store', 'beats') and datname = current_database()";
  await until("the store's connections end", async () => (await onlooker.sql(others)).length === 0);
  const tables = await onlooker.sql(
    `select relname as name, n_tup_upd >= 60 as is_beaten, n_tup_upd - n_tup_hot_upd <= 3 as is_in_place from pg_stat_user_tables
     where relname in ('session', 'attempt') order by relname`,
  );
  await onlooker.pool.end();
  expect(tables).toEqual([
    { name: "attempt", is_beaten: true, is_in_place: true },
    { name: "session", is_beaten: true, is_in_place: true },
  ]);
});
