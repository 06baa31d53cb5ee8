/**
 * The store: everything that the coordinator keeps, in Postgres, composed of its parts.
 *
 * Owns the pools that it was given. State: none but connections; any number of coordinators share a database.
 */
import { PrismaPg } from "@prisma/adapter-pg";
import { FarmError } from "../../domain/errors.ts";
import { PrismaClient } from "../../gen/prisma/client.ts";
import { type Pool, runStatement } from "../../platform/database/pool.ts";
import { createBenchImports } from "./bench-imports.ts";
import { createBooks } from "./books.ts";
import { createControls } from "./controls.ts";
import { createDispatch } from "./dispatch.ts";
import { createDuties } from "./duties.ts";
import { createExpansion } from "./expansion.ts";
import { createFailures } from "./failures.ts";
import { createHealth } from "./health.ts";
import { createJobs } from "./jobs.ts";
import { createMeasures } from "./measures.ts";
import { createMedia } from "./media.ts";
import { createModels } from "./models.ts";
import { createOverview } from "./overview.ts";
import { createPreemption } from "./preemption.ts";
import { createRuns } from "./runs.ts";
import { createScalingStore } from "./scaling.ts";
import { claimFarmStatement } from "./sql/overview.ts";
import type { Limits, OrderSettings, Retention, Room, StoreContext, StoreSettings } from "./store-context.ts";
import type { Store } from "./store-contract.ts";
import { createSuites } from "./suites.ts";
import { createTails } from "./tails.ts";
import { createTenants } from "./tenants.ts";
import { createTraces } from "./traces.ts";
import { createWebhooks } from "./webhooks.ts";

export type StoreOptions = {
  readonly pool: Pool;
  /** Beats have connections of their own, so that no queue delays a lease. */
  readonly beatPool: Pool;
  /** The farm's name; a database belongs to the first that opens it. */
  readonly farm: string;
  readonly leaseMs: number;
  readonly pools: readonly { readonly name: string; readonly profile: string }[];
  readonly canaryGapMs?: number;
  readonly canaryDriftMs?: number;
  readonly retention?: Partial<Retention>;
  readonly order?: Partial<OrderSettings>;
  readonly limits?: Partial<Limits>;
  readonly room?: Partial<Room>;
  /** A draw from [0, 1), for back-off; Math.random when absent. */
  readonly jitter?: () => number;
};

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

export const defaultRetention: Retention = {
  keepIntermediatesMs: 7 * dayMs,
  keepDeadLettersMs: 30 * dayMs,
  keepSessionsMs: dayMs,
  keepEventsMs: 30 * dayMs,
  keepUsageMs: 400 * dayMs,
  keepAttemptsMs: 90 * dayMs,
  keepJobsMs: 400 * dayMs,
  keepUploadsMs: 30 * dayMs,
  keepUnusedTasksMs: 60 * minuteMs,
  longestUploadMs: 60 * minuteMs,
};

/** Production, then benchmark. */
export const defaultOrder: OrderSettings = {
  floors: [0, 0.1],
  residentPatienceMs: 10_000,
  aheadAfterMs: 150,
  leastChargeMs: 1_000,
  halfLifeMs: 60 * minuteMs,
};

export const defaultLimits: Limits = {
  openRenders: 1_000,
  waitingRenders: 2_000_000,
  waitingRendersOfTenant: 500_000,
  openJobs: 100_000,
  openJobsOfTenant: 20_000,
};

const unbounded: Room = { highBytes: undefined, lowBytes: 0, collectResults: false };

/** Opens the store on a migrated database. Throws CONFIG_INVALID when the database is another farm's. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { pool, beatPool, farm } = options;
  const [row] = await runStatement<{ readonly name: string }>(pool, claimFarmStatement, [farm]);
  if (row?.name !== farm) {
    throw new FarmError("CONFIG_INVALID", { message: `the database belongs to farm ${row?.name ?? "?"}, not ${farm}` });
  }
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });
  const context: StoreContext = { pool, beatPool, prisma, settings: settingsOf(options), jitter: options.jitter ?? Math.random };
  return {
    ...createJobs(context),
    ...createMedia(context),
    ...createModels(context),
    ...createDispatch(context),
    ...createDuties(context),
    ...createExpansion(context),
    ...createOverview(context),
    ...createMeasures(context),
    ...createControls(context),
    ...createTenants(context),
    ...createHealth(context),
    ...createFailures(context),
    ...createPreemption(context),
    ...createBooks(context),
    ...createSuites(context),
    ...createRuns(context),
    ...createBenchImports(context),
    ...createScalingStore(context),
    ...createWebhooks(context),
    ...createTraces(context),
    ...createTails(context),
    async close() {
      await prisma.$disconnect();
      await Promise.all([...new Set([pool, beatPool])].map((open) => open.end()));
    },
  };
}

function settingsOf(options: StoreOptions): StoreSettings {
  return {
    leaseMs: options.leaseMs,
    pools: Object.fromEntries(options.pools.map(({ name, profile }) => [name, profile])),
    canaryGapMs: options.canaryGapMs ?? 3_000,
    canaryDriftMs: options.canaryDriftMs ?? 1_000,
    retention: { ...defaultRetention, ...options.retention },
    order: { ...defaultOrder, ...options.order },
    limits: { ...defaultLimits, ...options.limits },
    room: { ...unbounded, ...options.room },
  };
}
