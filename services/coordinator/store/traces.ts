/**
 * Reads for traces, and the caller's place in a trace of its own, kept with its job.
 */
import { type Connection, type Pool, runStatement } from "../../platform/database/pool.ts";
import { attemptOwnersStatement, keepJobTraceStatement, renderOwnerStatement, tracedRenderStatement } from "./sql/traces.ts";
import type { StoreContext } from "./store-context.ts";
import type { AttemptOwner, TracedRender, TraceOwner, TraceStore } from "./store-contract.ts";

/** Far more than budgets allow. */
const mostAttempts = 50;

/** The part of the store that tracing reads. */
export function createTraces({ pool }: StoreContext): TraceStore {
  return {
    attemptOwners: (attemptIds) => rowsOf<AttemptOwner>(pool, attemptOwnersStatement, [attemptIds]),
    async renderOwner(jobId, position) {
      return (await rowsOf<TraceOwner>(pool, renderOwnerStatement, [jobId, position ?? null]))[0];
    },
    async tracedRender(jobId, position) {
      return (await rowsOf<TracedRender>(pool, tracedRenderStatement, [jobId, position, mostAttempts]))[0];
    },
  };
}

/** In the transaction that has stored the job. */
export async function keepJobTrace(connection: Connection, jobId: string, traceparent: string | undefined): Promise<void> {
  if (traceparent !== undefined) await connection.query({ ...keepJobTraceStatement, values: [jobId, traceparent] });
}

async function rowsOf<T>(pool: Pool, statement: Parameters<typeof runStatement>[1], values: readonly unknown[]): Promise<readonly T[]> {
  const rows = await runStatement<{ readonly result: unknown }>(pool, statement, values);
  return rows.map(({ result }) => withoutNulls(result) as T);
}

/** What SQL says as null the contract says as undefined. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value ?? undefined;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withoutNulls(member)]));
}
