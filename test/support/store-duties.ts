/**
 * Rounds of duties on a store, as a coordinator that holds them does them.
 */
import { decideBudgets } from "../../services/domain/budget.ts";
import type { Aftermath } from "../../services/coordinator/store/store-contract.ts";
import type { World } from "./store-world.ts";

/** The epoch of a duty that nobody else holds. */
export async function epochOf({ store }: World, duty: string): Promise<number> {
  return (await store.holdDuty(duty, "test", 60_000))?.epoch ?? 0;
}

/** Ends every session, its lease run out. */
export async function reapAll(world: World): Promise<void> {
  await world.sql("update session set lease_until = now() - interval '1 s'");
  await world.sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 minute') on conflict do nothing");
  await world.store.reap(await epochOf(world, "reaper"));
}

/** Adds what was booked to the totals, and does what follows from the budgets; undefined when nothing does. */
export async function budgetRound(world: World): Promise<Aftermath | undefined> {
  const { store } = world;
  const epoch = await epochOf(world, "budgets");
  while ((await store.totalUsage(epoch)) > 0);
  const decision = decideBudgets(await store.budgetSnapshot());
  return decision === undefined ? undefined : await store.applyBudgets(epoch, decision);
}
