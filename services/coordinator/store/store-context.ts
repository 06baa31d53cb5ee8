/**
 * What the parts of the store share: connections, settings, and the encoding of what goes into a statement.
 */
import { type ErrorClass, FarmError, toFarmError } from "../../domain/errors.ts";
import type { OrderPolicy } from "../../domain/order.ts";
import { retryTable, type RetryRule } from "../../domain/retry.ts";
import type { PrismaClient } from "../../gen/prisma/client.ts";
import type { NamedStatement, Pool } from "../../platform/database/pool.ts";
import { runStatement } from "../../platform/database/pool.ts";
import type { Aftermath } from "./store-contract.ts";

/** How long rows and bytes are kept that nothing open needs. */
export type Retention = {
  readonly keepIntermediatesMs: number;
  /** What a dead letter was made from. */
  readonly keepDeadLettersMs: number;
  readonly keepSessionsMs: number;
  readonly keepEventsMs: number;
  readonly keepUsageMs: number;
  /** Of tasks that are over; a job older than that shows no times. */
  readonly keepAttemptsMs: number;
  /** Of jobs that have ended, with everything of theirs. */
  readonly keepJobsMs: number;
  /** Of uploads that no kept job starts from. */
  readonly keepUploadsMs: number;
  /** How long after the last render that used it a task is looked at, and looked at again. */
  readonly keepUnusedTasksMs: number;
  /** No put of an artifact takes longer. */
  readonly longestUploadMs: number;
};

/** How claims are ordered (domain/order.ts), and what is charged for them. */
export type OrderSettings = OrderPolicy & {
  /** Tasks that became ready since then are left to workers that are free, and so are tasks that a busy one was promised before. */
  readonly aheadAfterMs: number;
  /** What an attempt of a shape that nothing is known of is charged until it ended. */
  readonly leastChargeMs: number;
  /** After this time, device time that a tenant had counts half. */
  readonly halfLifeMs: number;
};

/** What stays below a bound, so that nothing grows without one (decision 0013). */
export type Limits = {
  /** The window of a pool: renders that are expanded and have not ended. */
  readonly openRenders: number;
  readonly waitingRenders: number;
  readonly waitingRendersOfTenant: number;
  readonly openJobs: number;
  readonly openJobsOfTenant: number;
};

/** How many bytes the artifact store may hold before finished ones go before their age. */
export type Room = {
  /** Undefined: as many as there are. */
  readonly highBytes: number | undefined;
  /** Down to here they are condemned. */
  readonly lowBytes: number;
  /** Whether results of finished renders may go too, after everything else. */
  readonly collectResults: boolean;
};

export type StoreSettings = {
  readonly leaseMs: number;
  /** Pool name → the profile that its workers must have. */
  readonly pools: Readonly<Record<string, string>>;
  /** The canary beats each second: a longer silence is a gap. */
  readonly canaryGapMs: number;
  /** How far the sender's clock and the database's may differ between two beats. */
  readonly canaryDriftMs: number;
  readonly retention: Retention;
  readonly order: OrderSettings;
  readonly limits: Limits;
  readonly room: Room;
};

export type StoreContext = {
  readonly pool: Pool;
  readonly beatPool: Pool;
  readonly prisma: PrismaClient;
  readonly settings: StoreSettings;
  /** A draw from [0, 1), for back-off. */
  readonly jitter: () => number;
};

export const noAftermath: Aftermath = { ready: [], touchedJobIds: [], pushes: [] };

/** What two commits changed. */
export function bothOf(left: Aftermath, right: Aftermath): Aftermath {
  return {
    ready: [...left.ready, ...right.ready],
    touchedJobIds: [...new Set([...left.touchedJobIds, ...right.touchedJobIds])],
    pushes: [...(left.pushes ?? []), ...(right.pushes ?? [])],
    hasWaiting: left.hasWaiting === true || right.hasWaiting === true,
    retried: [...(left.retried ?? []), ...(right.retried ?? [])],
    reused: [...(left.reused ?? []), ...(right.reused ?? [])],
  };
}

/** The retry table as the SQL functions read it. */
export const retryPolicy: Readonly<Record<ErrorClass, RetryRule>> = retryTable;

/** JSON that Postgres takes: it knows neither NUL nor half a surrogate pair. */
export function toPayload(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "string" ? member.replaceAll("\u0000", "").toWellFormed() : member,
  );
}

/** The one value that a function's statement returns. */
export async function callFunction<T>(pool: Pool, statement: NamedStatement, values: readonly unknown[]): Promise<T> {
  const [row] = await runStatement<{ readonly result: T }>(pool, statement, values);
  if (row === undefined) throw new FarmError("INTERNAL", { message: `${statement.name} returned no row` });
  return row.result;
}

/** Runs a read of Prisma's; what it throws becomes a FarmError. */
export async function read<T>(query: Promise<T>): Promise<T> {
  try {
    return await query;
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
    throw toFarmError(thrown, code.startsWith("P2") ? "INTERNAL" : "DATABASE_UNAVAILABLE");
  }
}
