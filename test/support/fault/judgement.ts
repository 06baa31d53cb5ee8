/**
 * What a fault test ends with: the farm is whole again, and the checker finds that it kept every promise.
 */
import { expect } from "vitest";
import { openPool } from "../../../services/platform/database/pool.ts";
import { checkFarm } from "../checker/check-farm.ts";
import { collectEvidence } from "../checker/collect-evidence.ts";
import { until } from "../until.ts";
import type { FaultFarm } from "./farm.ts";

/** Waits until nothing is open, then judges. */
export async function expectKept(farm: FaultFarm): Promise<void> {
  await until("nothing is open", () => isSettled(farm), 30_000);
  const database = openPool({ url: farm.databaseUrl, applicationName: "vapfarm-checker", connections: 1 });
  try {
    const { natsUrl, journals, leaseMs, artifactsFolder } = farm;
    const evidence = await collectEvidence({
      database,
      artifactsFolder,
      natsUrl,
      journalsFolder: journals.folder,
      bounds: { leaseMs },
    });
    expect(checkFarm(evidence)).toEqual([]);
  } finally {
    await database.end();
  }
}

async function isSettled(farm: FaultFarm): Promise<boolean> {
  const [open] = await farm.sql<{ jobs: number; attempts: number; events: number }>(
    `select (select count(*)::int from job where state in ('queued', 'running')) as jobs,
       (select count(*)::int from attempt where state = 'running') as attempts,
       (select count(*)::int from job where sent_event < last_event) as events`,
  );
  return open !== undefined && open.jobs + open.attempts + open.events === 0;
}

/** Does something during which the farm's own parts cannot be heard, and writes down when. */
export function outage<T>(farm: FaultFarm, what: string, during: () => Promise<T>): Promise<T> {
  return noted(farm, { kind: "outage", what }, during);
}

/** The same of workers: they are frozen, or their links are bad. */
export function unheard<T>(farm: FaultFarm, what: string, during: () => Promise<T>): Promise<T> {
  return noted(farm, { kind: "unheard", what }, during);
}

type Note = { readonly kind: "outage" | "unheard"; readonly what: string };

async function noted<T>(farm: FaultFarm, note: Note, during: () => Promise<T>): Promise<T> {
  const fromMs = Date.now();
  try {
    return await during();
  } finally {
    farm.journals.tester.write({ ...note, fromMs, untilMs: Date.now() });
  }
}
