/**
 * Jobs: submitted, cancelled, retried and changed in one statement each.
 */
import { FarmError } from "../../domain/errors.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { type EventRow, eventFromRow } from "./event-view.ts";
import { getJob, getRender, listJobs, listRenders } from "./job-list.ts";
import { callLongFunction } from "./long-call.ts";
import { cancelStatement } from "./sql/cancel.ts";
import { listEventsStatement } from "./sql/events.ts";
import { gonePoolStatement } from "./sql/failures.ts";
import { retryStatement } from "./sql/retry.ts";
import { submitStatement } from "./sql/submit.ts";
import { updateJobStatement } from "./sql/update-job.ts";
import { callFunction, read, type StoreContext, toPayload } from "./store-context.ts";
import type {
  Aftermath,
  JobChange,
  JobPatch,
  JobStore,
  JobView,
  RetryOutcome,
  SubmitJob,
  SubmitOutcome,
  TenantScope,
  UpdateOutcome,
} from "./store-contract.ts";
import { missingUploads, submitPayload } from "./submit-payload.ts";

type Submitted =
  | { readonly kind: "stored"; readonly jobId: string; readonly aftermath: Aftermath }
  | { readonly kind: "repeated" | "conflict"; readonly jobId: string }
  | { readonly kind: "invalid"; readonly missing: readonly string[] };

type Retried =
  | { readonly kind: "retried"; readonly renders: number; readonly aftermath: Aftermath }
  | { readonly kind: "nothing" }
  | {
      readonly kind: "invalid";
      readonly missing: readonly string[];
      readonly renders: readonly { readonly position: number; readonly spec: RenderSpec }[];
    };

type Updated = { readonly kind: "updated"; readonly aftermath: Aftermath } | { readonly kind: "ended" };

/** A job of the scope, or one of its renders. */
type Named = { readonly scope: TenantScope; readonly jobId: string; readonly position: number | undefined };

/** The part of the store that clients' jobs go through. */
export function createJobs(context: StoreContext): JobStore {
  const { pool, prisma } = context;
  return {
    submitJob: (job) => submitJob(context, job),
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
  const submitted = await callLongFunction<Submitted>(context.pool, submitStatement, [toPayload(submitPayload(job))]);
  switch (submitted.kind) {
    case "stored":
      return { kind: "stored", job: await mustGetJob(context, submitted.jobId), ready: submitted.aftermath.ready };
    case "repeated":
      return { kind: "repeated", job: await mustGetJob(context, submitted.jobId) };
    case "conflict":
      return { kind: "conflict" };
    case "invalid": {
      const renders = job.renders.map(({ render }, position) => ({ position, spec: render }));
      return { kind: "invalid", missing: missingUploads(renders, submitted.missing) };
    }
  }
}

async function cancelJob(context: StoreContext, { scope, jobId, position }: Named): Promise<JobChange | undefined> {
  const values = [scope ?? null, jobId, position ?? null];
  const aftermath = await callLongFunction<Aftermath | null>(context.pool, cancelStatement, values);
  return aftermath === null ? undefined : { job: await mustGetJob(context, jobId), aftermath };
}

async function retryJob(context: StoreContext, { scope, jobId, position }: Named): Promise<RetryOutcome | undefined> {
  const named = [scope ?? null, jobId, position ?? null];
  const gone = await callFunction<string | null>(context.pool, gonePoolStatement, [...named, Object.keys(context.settings.pools)]);
  if (gone !== null) return { kind: "pool_gone", pool: gone };
  const retried = await callLongFunction<Retried | null>(context.pool, retryStatement, named);
  switch (retried?.kind) {
    case undefined:
      return undefined;
    case "retried":
      return { ...retried, job: await mustGetJob(context, jobId) };
    case "nothing":
      return { ...retried, job: await mustGetJob(context, jobId) };
    case "invalid":
      return { kind: "invalid", missing: missingUploads(retried.renders, retried.missing) };
  }
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
