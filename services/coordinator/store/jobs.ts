/**
 * Jobs: submitted and cancelled in one statement each, read through Prisma.
 */
import { FarmError, type FieldViolation } from "../../domain/errors.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { type EventRow, eventFromRow } from "./event-view.ts";
import { jobFromRow, jobInclude } from "./job-view.ts";
import { cancelStatement } from "./sql/cancel.ts";
import { listEventsStatement } from "./sql/events.ts";
import { submitStatement } from "./sql/submit.ts";
import { callFunction, read, type StoreContext, toPayload } from "./store-context.ts";
import type { Aftermath, JobStore, JobView, LevelPush, SubmitJob, SubmitOutcome } from "./store-contract.ts";

type Submitted =
  | { readonly kind: "stored"; readonly jobId: string; readonly aftermath: Aftermath }
  | { readonly kind: "repeated" | "conflict"; readonly jobId: string }
  | { readonly kind: "invalid"; readonly missing: readonly string[] };

type Cancelled = Aftermath & { readonly pushes: readonly LevelPush[] };

/** The part of the store that clients' jobs go through. */
export function createJobs(context: StoreContext): JobStore {
  const { pool, prisma } = context;
  return {
    submitJob: (job) => submitJob(context, job),
    getJob: (tenant, jobId) => getJob(context, tenant, jobId),
    async findSubmitted(tenant, idempotencyKey) {
      const where = { tenantId_idempotencyKey: { tenantId: tenant, idempotencyKey } };
      const row = await read(prisma.job.findUnique({ where, select: { id: true, bodyDigest: true } }));
      return row === null ? undefined : { jobId: row.id, bodyDigest: row.bodyDigest };
    },
    async listEvents(jobId, afterNumber, limit) {
      const rows = await runStatement<EventRow>(pool, listEventsStatement, [jobId, afterNumber, limit]);
      return rows.map(eventFromRow);
    },
    async cancelJob(tenant, jobId) {
      const aftermath = await callFunction<Cancelled | null>(pool, cancelStatement, [tenant, jobId]);
      if (aftermath === null) return undefined;
      return { job: await mustGetJob(context, tenant, jobId), pushes: aftermath.pushes, aftermath };
    },
  };
}

async function submitJob(context: StoreContext, job: SubmitJob): Promise<SubmitOutcome> {
  const payload = toPayload({ ...job, uploads: uploadsOf(job) });
  const submitted = await callFunction<Submitted>(context.pool, submitStatement, [payload]);
  switch (submitted.kind) {
    case "stored":
      return { kind: "stored", job: await mustGetJob(context, job.tenant, submitted.jobId), ready: submitted.aftermath.ready };
    case "repeated":
      return { kind: "repeated", job: await mustGetJob(context, job.tenant, submitted.jobId) };
    case "conflict":
      return { kind: "conflict" };
    case "invalid":
      return { kind: "invalid", fields: submitted.missing.flatMap((sha256) => missingUpload(job.render, sha256)) };
  }
}

function uploadsOf({ tasks }: SubmitJob): readonly string[] {
  const sources = tasks.flatMap(({ inputs }) => inputs.map(({ source }) => source));
  return [...new Set(sources.flatMap((source) => (source.kind === "upload" ? [source.sha256] : [])))];
}

/** One violation for each field that names the upload. */
function missingUpload(render: RenderSpec, sha256: string): readonly FieldViolation[] {
  const fields = [
    ...(render.image.sha256 === sha256 ? ["render.image"] : []),
    ...render.references.flatMap((reference, index) => (reference.sha256 === sha256 ? [`render.references[${index}]`] : [])),
  ];
  return fields.map((field) => ({ field, reason: `no such upload: ${sha256}`, remedy: "upload the media first" }));
}

async function getJob({ prisma }: StoreContext, tenant: string, jobId: string): Promise<JobView | undefined> {
  const row = await read(prisma.job.findFirst({ where: { id: jobId, tenantId: tenant }, include: jobInclude }));
  return row === null ? undefined : jobFromRow(row);
}

async function mustGetJob(context: StoreContext, tenant: string, jobId: string): Promise<JobView> {
  const job = await getJob(context, tenant, jobId);
  if (job === undefined) throw new FarmError("INTERNAL", { message: `job ${jobId} is gone` });
  return job;
}
