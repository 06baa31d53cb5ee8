/**
 * A real store for plays: two coordinators on one database, with leases that end only when a play says so and nothing kept that is not needed.
 */
import type { World } from "../store-world.ts";
import type { RealFarm } from "./play.ts";

/** Opens the second coordinator. */
export async function openRealFarm(world: World): Promise<RealFarm> {
  return { world, stores: [world.store, await world.openAnother()] };
}

/** Takes away what earlier plays left. */
export async function emptyFarm({ world }: RealFarm): Promise<void> {
  await world.sql("truncate tenant, session, worker, session_answer, artifact, usage, duty, hold, cordon, canary cascade");
}
