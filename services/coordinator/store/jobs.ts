/**
 * Jobs: submitted, cancelled, retried and changed in one statement each.
 */
import { FarmError } from "../../domain/errors.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import { inTransaction, runStatement } from "../../platform/database/pool.ts";
import { type EventRow, eventFromRow } from "./event-view.ts";
import { getJob, getRender, listJobs, listRenders } from "./job-list.ts";
import { callLongFunction, callWithin } from "./long-call.ts";
import { missingOfManifest, storeManifest } from "./manifests.ts";
import { cancelStatement } from "./sql/cancel.ts";
import { listEventsStatement } from "./sql/events.ts";
import { gonePoolStatement } from "./sql/failures.ts";
import { retryStatement } from "./sql/retry.ts";
import { submitStatement } from "./sql/submit.ts";
import { updateJobStatement } from "./sql/update-job.ts";
import { bothOf, callFunction, noAftermath, read, type StoreContext, toPayload } from "./store-context.ts";
import type {
  Aftermath,
  Full,
  JobChange,
  JobPatch,
  JobStore,
  JobView,
  Manifest,
  MissingUpload,
  RetryOutcome,
  SubmitJob,
  SubmitOutcome,
  TenantScope,
  UpdateOutcome,
} from "./store-contract.ts";
import { missingUploads, submitPayload } from "./submit-payload.ts";
import { keepJobTrace } from "./traces.ts";

/** Of one statement; the whole is repeated until none is left. */
const mostCancelled = 5_000;
const mostRetried = 5_000;
/** Retried by one statement without waiting for the window, where that has room. */
const mostRetriedAtOnce = 1_000;
const mostFaults = 50;

type Submitted =
  | { readonly kind: "stored"; readonly jobId: string; readonly isWaiting?: boolean; readonly aftermath: Aftermath }
  | { readonly kind: "repeated" | "conflict"; readonly jobId: string }
  | Full
  | { readonly kind: "invalid"; readonly missing: readonly string[] };

type Retried =
  | {
      readonly kind: "retried";
      readonly renders: number;
      readonly isWaiting: boolean;
      readonly left: boolean;
      readonly aftermath: Aftermath;
    }
  | { readonly kind: "nothing" }
  | {
      readonly kind: "invalid";
      readonly missing: readonly string[];
      readonly renders: readonly { readonly position: number; readonly spec: RenderSpec }[];
    };

type Cancelled = { readonly left: boolean; readonly aftermath: Aftermath };
type Updated = { readonly kind: "updated"; readonly aftermath: Aftermath } | { readonly kind: "ended" };

/** A job of the scope, or one of its renders. */
type Named = { readonly scope: TenantScope; readonly jobId: string; readonly position: number | undefined };

/** The part of the store that clients' jobs go through. */
export function createJobs(context: StoreContext): JobStore {
  const { pool, prisma } = context;
  return {
    submitJob: (job) => submitJob(context, job),
    submitManifest: (manifest) => submitManifest(context, manifest),
    getJob: (scope, jobId) => getJob(context, scope, jobId),
    listJobs: (ask) => listJobs(context, ask),
    getRender: (scope, jobId, position) => getRender(context, { scope, jobId, position }),
    listRenders: (ask) => listRenders(context, ask),
    async findSubmitted(tenant, idempotencyKey) {
      const where = { tenantId_idempotencyKey: { tenantId: tenant, idempotencyKey } };
      const row = await read(prisma.job.findUnique({ where, select: { id: true, bodyDigest: true } }));
      return row === null ? undefined : { jobId: row.id, bodyDigest: row.bodyDigest };
    },
    async listEvents(jobId, afterNumber, limit) {
      const rows = await runStatement<EventRow>(pool, listEventsStatement, [jobId, afterNumber, limit]);
      return rows.map(eventFromRow);
    },
    cancelJob: (scope, jobId, position) => cancelJob(context, { scope, jobId, position }),
    retryJob: (scope, jobId, position) => retryJob(context, { scope, jobId, position }),
    updateJob: (scope, jobId, patch) => updateJob(context, { scope, jobId, patch }),
  };
}

async function submitJob(context: StoreContext, job: SubmitJob): Promise<SubmitOutcome> {
  const { traceparent, ...asked } = job;
  const values = [toPayload(submitPayload(asked)), toPayload(context.settings.limits)];
  const submitted = await inTransaction(context.pool, async (connection) => {
    const outcome = await callWithin<Submitted>(connection, submitStatement, values);
    if (outcome.kind === "stored") await keepJobTrace(connection, job.jobId, traceparent);
    return outcome;
  });
  return await outcomeOf(context, submitted, (missing) => {
    const renders = job.renders.map(({ render }, position) => ({ position, spec: render }));
    return Promise.resolve(missingUploads(renders, missing));
  });
}

async function submitManifest(context: StoreContext, manifest: Manifest): Promise<SubmitOutcome> {
  const stored = await storeManifest(context, manifest);
  return await outcomeOf(context, stored, (missing) => missingOfManifest(manifest, missing, mostFaults));
}

async function outcomeOf(
  context: StoreContext,
  submitted: Submitted,
  blame: (missing: readonly string[]) => Promise<readonly MissingUpload[]>,
): Promise<SubmitOutcome> {
  switch (submitted.kind) {
    case "stored": {
      const { ready, reused = [] } = submitted.aftermath;
      const job = await mustGetJob(context, submitted.jobId);
      return { kind: "stored", job, ready, reused, isWaiting: submitted.isWaiting === true };
    }
    case "repeated":
      return { kind: "repeated", job: await mustGetJob(context, submitted.jobId) };
    case "conflict":
      return { kind: "conflict" };
    case "full":
      return submitted;
    case "invalid":
      return { kind: "invalid", missing: await blame(submitted.missing) };
  }
}

async function cancelJob(context: StoreContext, { scope, jobId, position }: Named): Promise<JobChange | undefined> {
  const values = [scope ?? null, jobId, position ?? null, mostCancelled];
  let aftermath = noAftermath;
  for (let left = true; left;) {
    const cancelled = await callLongFunction<Cancelled | null>(context.pool, cancelStatement, values);
    if (cancelled === null) return undefined;
    aftermath = bothOf(aftermath, cancelled.aftermath);
    ({ left } = cancelled);
  }
  return { job: await mustGetJob(context, jobId), aftermath };
}

async function retryJob(context: StoreContext, { scope, jobId, position }: Named): Promise<RetryOutcome | undefined> {
  const named = [scope ?? null, jobId, position ?? null];
  const gone = await callFunction<string | null>(context.pool, gonePoolStatement, [...named, Object.keys(context.settings.pools)]);
  if (gone !== null) return { kind: "pool_gone", pool: gone };
  const { openRenders } = context.settings.limits;
  const limits = toPayload({ openRenders, most: mostRetried, atOnce: mostRetriedAtOnce });
  let done = { renders: 0, aftermath: noAftermath };
  for (;;) {
    const retried = await callLongFunction<Retried | null>(context.pool, retryStatement, [...named, limits]);
    if (retried === null) return undefined;
    if (retried.kind === "invalid") return { kind: "invalid", missing: missingUploads(retried.renders, retried.missing) };
    if (retried.kind === "nothing") break;
    const { aftermath, isWaiting, left, renders } = retried;
    done = { renders: done.renders + renders, aftermath: bothOf(done.aftermath, { ...aftermath, hasWaiting: isWaiting }) };
    if (!left) break;
  }
  const job = await mustGetJob(context, jobId);
  return done.renders === 0 ? { kind: "nothing", job } : { kind: "retried", ...done, job };
}

type Update = { readonly scope: TenantScope; readonly jobId: string; readonly patch: JobPatch };

async function updateJob(context: StoreContext, { scope, jobId, patch }: Update): Promise<UpdateOutcome | undefined> {
  const updated = await callLongFunction<Updated | null>(context.pool, updateJobStatement, [scope ?? null, jobId, toPayload(patch)]);
  if (updated === null) return undefined;
  return updated.kind === "ended" ? updated : { ...updated, job: await mustGetJob(context, jobId) };
}

/** The store has just seen it. */
async function mustGetJob(context: StoreContext, jobId: string): Promise<JobView> {
  const job = await getJob(context, undefined, jobId);
  if (job === undefined) throw new FarmError("INTERNAL", { message: `job ${jobId} is gone` });
  return job;
}
