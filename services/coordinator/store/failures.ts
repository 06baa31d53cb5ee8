/**
 * Dead letters: listed with what was tried, and tried anew.
 */
import { type Pool, runStatement } from "../../platform/database/pool.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import { callLongFunction } from "./long-call.ts";
import { listFailuresStatement, retryTaskStatement } from "./sql/failures.ts";
import { type StoreContext, toPayload } from "./store-context.ts";
import type { AttemptView, DeadLetterView, FailureListAsk, FailureStore, RetryTaskOutcome, TenantScope } from "./store-contract.ts";
import { missingUploads } from "./submit-payload.ts";

/** Of each dead letter, in a list. */
const mostRenders = 20;
/** A retry takes each render by itself: this many in one call. */
const mostRetried = 200;

type AttemptRow = Omit<AttemptView, "startedAt" | "endedAt" | "logTail"> & {
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly logTail: string | null;
};
type FailureRow = Omit<DeadLetterView, "attempts"> & { readonly attempts: readonly AttemptRow[] };

type Retried =
  | Exclude<RetryTaskOutcome, { kind: "invalid" }>
  | {
      readonly kind: "invalid";
      readonly missing: readonly string[];
      readonly renders: readonly { readonly position: number; readonly spec: RenderSpec }[];
    };

/** The part of the store that knows what failed for good. */
export function createFailures(context: StoreContext): FailureStore {
  return {
    listFailures: (ask) => listFailures(context.pool, ask),
    retryTask: (scope, taskId) => retryTask(context, scope, taskId),
  };
}

async function listFailures(pool: Pool, ask: FailureListAsk): ReturnType<FailureStore["listFailures"]> {
  const { scope, jobId, code, stage, after, limit } = ask;
  const filter = [scope ?? null, jobId ?? null, ask.pool ?? null, code ?? null, stage ?? null];
  const values = [...filter, after?.endedMicros ?? null, after?.taskId ?? null, limit + 1, mostRenders];
  const rows = await runStatement<FailureRow>(pool, listFailuresStatement, values);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const next = rows.length > limit ? last : undefined;
  return { failures: page.map(failureFromRow), next };
}

function failureFromRow({ attempts, ...row }: FailureRow): DeadLetterView {
  return { ...row, attempts: attempts.map(attemptFromRow) };
}

function attemptFromRow({ startedAt, endedAt, logTail, ...row }: AttemptRow): AttemptView {
  return {
    ...row,
    startedAt: new Date(startedAt),
    endedAt: endedAt === null ? undefined : new Date(endedAt),
    logTail: logTail ?? undefined,
  };
}

async function retryTask({ pool, settings }: StoreContext, scope: TenantScope, taskId: number): Promise<RetryTaskOutcome | undefined> {
  const limits = toPayload({ openRenders: settings.limits.openRenders, most: mostRetried, atOnce: mostRetried });
  const values = [scope ?? null, taskId, limits, Object.keys(settings.pools)];
  const retried = await callLongFunction<Retried | null>(pool, retryTaskStatement, values);
  switch (retried?.kind) {
    case undefined:
      return undefined;
    case "nothing":
    case "pool_gone":
    case "retried":
      return retried;
    case "invalid":
      return { kind: "invalid", missing: missingUploads(retried.renders, retried.missing) };
  }
}
