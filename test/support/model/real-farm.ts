/**
 * A real store for plays: two coordinators on one database, where no time passes unless a play says so and nothing is kept that is not needed.
 */
import type { StoreOptions } from "../../../services/coordinator/store/store.ts";
import type { World } from "../store-world.ts";
import { leastChargeMs } from "./model-dispatch.ts";
import type { RealFarm } from "./play.ts";

/** A lease ends when a play says so, a task is ripe when it says so, and what nothing needs may go at once. */
export const modelOptions: Partial<StoreOptions> = {
  leaseMs: 3_600_000,
  retention: { keepIntermediatesMs: 0, keepDeadLettersMs: 0, longestUploadMs: 0 },
  order: { aheadAfterMs: 0, leastChargeMs },
};

/** Opens the second coordinator. From now on an engine stays in quarantine, and a ready task unripe, until a play says otherwise. */
export async function openRealFarm(world: World): Promise<RealFarm> {
  await world.sql(`create function keep_shut() returns trigger language plpgsql as $$
    begin
      new.ends_at := 'infinity';
      return new;
    end $$`);
  await world.sql("create trigger keep_shut before insert or update of began_at on quarantine for each row execute function keep_shut()");
  await world.sql(`create function keep_unripe() returns trigger language plpgsql as $$
    begin
      new.ready_at := 'infinity';
      return new;
    end $$`);
  await world.sql("create trigger keep_unripe before insert on ready for each row execute function keep_unripe()");
  return { world, stores: [world.store, await world.openAnother()] };
}

/** What a play leaves rows in: these, and what refers to them. */
const written = [
  ...["tenant", "session", "worker", "session_answer", "artifact", "usage", "duty", "hold", "cordon", "canary", "quarantine", "lane"],
  ...["shape_estimate", "worker_health", "tenant_share", "class_share", "share_due", "stopped_attempt"],
];

/** Takes away what earlier plays left. Few rows are deleted faster than tables are truncated, as long as nothing is checked. */
export async function emptyFarm({ world: { sql } }: RealFarm): Promise<void> {
  const tables = await sql<{ name: string }>(
    `with recursive written as (
       select t.name::regclass::oid as id from unnest($1::text[]) t(name)
       union select c.conrelid from pg_constraint c join written w on c.confrelid = w.id where c.contype = 'f')
     select w.id::regclass::text as name from written w`,
    [written],
  );
  const deletes = tables.map(({ name }) => `delete from ${name};`);
  await sql(`set local session_replication_role = replica; ${deletes.join(" ")}`);
}
