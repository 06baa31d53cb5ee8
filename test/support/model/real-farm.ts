/**
 * A real store for plays: two coordinators on one database, with leases and quarantines that end only when a play says so and nothing kept that is not needed.
 */
import type { World } from "../store-world.ts";
import type { RealFarm } from "./play.ts";

/** Opens the second coordinator. From now on an engine in quarantine stays there until a play says that the time is over. */
export async function openRealFarm(world: World): Promise<RealFarm> {
  await world.sql(`create function keep_shut() returns trigger language plpgsql as $$
    begin
      new.ends_at := 'infinity';
      return new;
    end $$`);
  await world.sql("create trigger keep_shut before insert or update of began_at on quarantine for each row execute function keep_shut()");
  return { world, stores: [world.store, await world.openAnother()] };
}

/** Takes away what earlier plays left. */
export async function emptyFarm({ world }: RealFarm): Promise<void> {
  await world.sql(
    "truncate tenant, session, worker, session_answer, artifact, usage, duty, hold, cordon, canary, quarantine, shape_estimate, worker_health, lane, tenant_share, class_share, share_due cascade",
  );
}
