/**
 * What metrics look at. Nothing here is asked at every scrape: services/platform/sample.ts bounds how often.
 */
import { type Pool, runStatement } from "../../platform/database/pool.ts";
import type { ConnectionMeasure, FleetMeasure, JobMeasure, MeasureStore, ReadyMeasure, ScoredRun } from "./measure-contract.ts";
import { unsentCountStatement } from "./sql/events.ts";
import { fleetMeasuresStatement, jobMeasuresStatement, newestScoresStatement, readyMeasuresStatement } from "./sql/measures.ts";
import { callFunction, type StoreContext } from "./store-context.ts";

/** More do not make it worse, and a scrape stays cheap. */
const mostUnsentJobs = 10_000;

/** The part of the store that is counted. */
export function createMeasures({ pool, beatPool }: StoreContext): MeasureStore {
  return {
    readyMeasures: () => runStatement<ReadyMeasure>(pool, readyMeasuresStatement, []),
    jobMeasures: () => runStatement<JobMeasure>(pool, jobMeasuresStatement, []),
    fleetMeasures: () => runStatement<FleetMeasure>(pool, fleetMeasuresStatement, []),
    newestScores: (limit) => runStatement<ScoredRun>(pool, newestScoresStatement, [limit]),
    unsentCount: () => callFunction<number>(pool, unsentCountStatement, [mostUnsentJobs]),
    connectionMeasures: () => [connectionsOf("main", pool), connectionsOf("beats", beatPool)],
  };
}

function connectionsOf(purpose: ConnectionMeasure["purpose"], { totalCount, idleCount, waitingCount }: Pool): ConnectionMeasure {
  return { purpose, idle: idleCount, busy: totalCount - idleCount, waiting: waitingCount };
}
