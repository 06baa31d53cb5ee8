/**
 * Duties: each reads a snapshot, decides with a pure function where there is something to decide, and applies
 * it in one transaction that checks the duty's epoch.
 */
import { toFarmError } from "../../domain/errors.ts";
import { decideReap, type Lapses, type ReapDecision } from "../../domain/reaping.ts";
import { inTransaction, runStatement } from "../../platform/database/pool.ts";
import { createCollection } from "./collection.ts";
import { type EventRow, eventFromRow } from "./event-view.ts";
import {
  holdDutyStatement,
  lapsesStatement,
  promoteStatement,
  pruneStatement,
  reapStatement,
  recordCanaryStatement,
  releaseDutyStatement,
  sweepStatement,
  tendLanesStatement,
  tendSharesStatement,
} from "./sql/duties.ts";
import { farmEpochStatement, markSentStatement, unsentEventsStatement } from "./sql/events.ts";
import { callFunction, noAftermath, retryPolicy, type StoreContext, toPayload } from "./store-context.ts";
import type { Aftermath, DutyStore, ReapOutcome } from "./store-contract.ts";

/** Of each table: a statement that holds its locks for tens of milliseconds. */
const rowsPerPrune = 1_000;

const nothingReaped: ReapOutcome = {
  kind: "nothing",
  reason: undefined,
  sessions: 0,
  attempts: 0,
  refused: 0,
  massLapse: false,
  aftermath: noAftermath,
};

type Reaped = { readonly sessions: number; readonly attempts: number; readonly aftermath: Aftermath };
type Swept = { readonly repaired: number; readonly aftermath: Aftermath };

/** The part of the store that background work goes through. */
export function createDuties(context: StoreContext): DutyStore {
  const { pool, settings } = context;
  const policy = toPayload(retryPolicy);
  return {
    ...createCollection(context),
    async holdDuty(name, holder, holdMs) {
      const epoch = await callFunction<string | null>(pool, holdDutyStatement, [name, holder, holdMs]);
      return epoch === null ? undefined : { epoch: Number(epoch) };
    },
    async releaseDuty(name, holder) {
      await runStatement(pool, releaseDutyStatement, [name, holder]);
    },
    async recordCanary(senderElapsedMs) {
      const { canaryGapMs, canaryDriftMs } = settings;
      return { unbrokenMs: await callFunction<number>(pool, recordCanaryStatement, [senderElapsedMs, canaryGapMs, canaryDriftMs]) };
    },
    reap: (dutyEpoch) => reap(context, dutyEpoch),
    promoteDelayed: async (dutyEpoch) => (await callFunction<Aftermath | null>(pool, promoteStatement, [dutyEpoch])) ?? noAftermath,
    async tendOrder(dutyEpoch) {
      await callFunction<boolean>(pool, tendSharesStatement, [dutyEpoch, settings.order.halfLifeMs]);
      return (await callFunction<number | null>(pool, tendLanesStatement, [dutyEpoch])) ?? 0;
    },
    async sweep(dutyEpoch) {
      return (await callFunction<Swept | null>(pool, sweepStatement, [dutyEpoch, policy])) ?? { repaired: 0, aftermath: noAftermath };
    },
    farmEpoch: async () => Number(await callFunction<string>(pool, farmEpochStatement, [])),
    async unsentEvents(limit) {
      return (await runStatement<EventRow & { readonly job_renders: number }>(pool, unsentEventsStatement, [limit])).map((row) => ({
        ...eventFromRow(row),
        jobRenders: row.job_renders,
      }));
    },
    async markEventsSent(jobId, upToNumber) {
      const [before] = await runStatement<{ readonly result: number }>(pool, markSentStatement, [jobId, upToNumber]);
      return before?.result;
    },
    async prune(dutyEpoch) {
      const values = [dutyEpoch, toPayload(settings.retention), rowsPerPrune];
      return (await callFunction<number | null>(pool, pruneStatement, values)) ?? 0;
    },
  };
}

type Snapshot = Lapses & { readonly canary: Lapses["canary"] | null; readonly unnamed: number };

async function reap({ pool, settings }: StoreContext, dutyEpoch: number): Promise<ReapOutcome> {
  const snapshot = await callFunction<Snapshot>(pool, lapsesStatement, [settings.leaseMs]);
  const decision = decideReap({ ...snapshot, canary: snapshot.canary ?? undefined }, settings);
  const told = { ...nothingReaped, ...toldOf(decision) };
  const sessionIds = decision.kind === "reap" ? decision.sessionIds : [];
  if (sessionIds.length === 0 && snapshot.unnamed === 0) return told;
  const reaped = await reapSessions((ids) => {
    const values = [dutyEpoch, [...ids], toPayload(retryPolicy), settings.leaseMs];
    // A refusal is told after its locks are gone, or the next call would skip the sessions that they cover.
    return inTransaction(pool, async (connection) => {
      const { rows } = await connection.query<{ readonly result: Reaped | null }>({ ...reapStatement, values });
      return rows[0]?.result ?? null;
    });
  }, sessionIds);
  if (reaped === null) return { ...nothingReaped, kind: "held_back", reason: "another process holds the duty" };
  return { ...told, ...reaped, kind: reaped.sessions + reaped.attempts > 0 ? "reaped" : told.kind };
}

type ReapCall = (sessionIds: readonly string[]) => Promise<Reaped | null>;

const isIllegal = (thrown: unknown): boolean => toFarmError(thrown).code === "TRANSITION_ILLEGAL";

/** Ends sessions; when a move is refused, each by itself, so that one which cannot end does not keep the others' work. */
async function reapSessions(call: ReapCall, sessionIds: readonly string[]): Promise<(Reaped & { readonly refused: number }) | null> {
  try {
    const reaped = await call(sessionIds);
    return reaped === null ? null : { ...reaped, refused: 0 };
  } catch (thrown) {
    if (!isIllegal(thrown) || sessionIds.length < 2) throw thrown;
    const ended: Reaped[] = [];
    for (const sessionId of sessionIds) {
      const reaped = await unlessIllegal(call([sessionId]));
      if (reaped === null) return null;
      if (reaped !== undefined) ended.push(reaped);
    }
    return { ...together(ended), refused: sessionIds.length - ended.length };
  }
}

/** Undefined when a move was refused. */
async function unlessIllegal<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    if (!isIllegal(thrown)) throw thrown;
    return undefined;
  }
}

function together(reaped: readonly Reaped[]): Reaped {
  const sum = (numbers: readonly number[]): number => numbers.reduce((left, right) => left + right, 0);
  return {
    sessions: sum(reaped.map(({ sessions }) => sessions)),
    attempts: sum(reaped.map(({ attempts }) => attempts)),
    aftermath: {
      ready: reaped.flatMap(({ aftermath }) => aftermath.ready),
      touchedJobIds: [...new Set(reaped.flatMap(({ aftermath }) => aftermath.touchedJobIds))],
      pushes: reaped.flatMap(({ aftermath }) => aftermath.pushes ?? []),
      retried: reaped.flatMap(({ aftermath }) => aftermath.retried ?? []),
    },
  };
}

function toldOf(decision: ReapDecision): Pick<ReapOutcome, "kind" | "reason" | "massLapse"> {
  if (decision.kind === "held_back") return { kind: "held_back", reason: decision.reason, massLapse: false };
  const massLapse = decision.kind === "reap" && decision.massLapse;
  return { kind: "nothing", massLapse, reason: massLapse ? "much of a pool lapsed at once; only a few are ended at a time" : undefined };
}
