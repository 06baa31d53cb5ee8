/**
 * Jobs read: one, a page of many, and the renders of one.
 *
 * Invariant: a job outside the scope is as one that never was.
 */
import { retryLostRaces, runStatement } from "../../platform/database/pool.ts";
import { jobFromRow, type JobRow } from "./job-view.ts";
import { renderFromRow, renderInclude, renderSummaryFromRow, specOf, type RenderSummaryRow, type UploadRow } from "./render-view.ts";
import { getJobStatement, listJobsStatement } from "./sql/jobs.ts";
import { read, type StoreContext } from "./store-context.ts";
import type { JobListAsk, JobPage, JobSummary, JobView, RenderListAsk, RenderSummary, RenderView, TenantScope } from "./store-contract.ts";

/** A job without its tasks. */
async function getSummary({ pool }: StoreContext, scope: TenantScope, jobId: string): Promise<JobSummary | undefined> {
  const [row] = await runStatement<JobRow>(pool, getJobStatement, [jobId, scope ?? null]);
  return row === undefined ? undefined : jobFromRow(row);
}

/** A job; that of one render with its graph. */
export async function getJob(context: StoreContext, scope: TenantScope, jobId: string): Promise<JobView | undefined> {
  const job = await getSummary(context, scope, jobId);
  if (job === undefined) return undefined;
  return { ...job, only: job.only === undefined ? undefined : await getRender(context, { scope, jobId, position: 0 }) };
}

/** A page in the order that is asked for. */
export async function listJobs({ pool }: StoreContext, ask: JobListAsk): Promise<JobPage> {
  type Row = JobRow & { readonly order_value: string | null };
  const { text, values } = listJobsStatement(ask);
  const rows = await retryLostRaces(async () => (await pool.query<Row>(text, [...values])).rows);
  const page = rows.slice(0, ask.limit);
  const last = page.at(-1);
  const next = rows.length > ask.limit && last !== undefined ? { value: last.order_value, jobId: last.id } : undefined;
  return { jobs: page.map(jobFromRow), next };
}

type RenderName = { readonly scope: TenantScope; readonly jobId: string; readonly position: number };

/** Of a tenant, or of any; not one that is being deleted. */
const ofScope = (scope: TenantScope): { readonly tenantId?: string; readonly removedAt: null } =>
  scope === undefined ? { removedAt: null } : { tenantId: scope, removedAt: null };

/** One render with its graph. */
export async function getRender(context: StoreContext, { scope, jobId, position }: RenderName): Promise<RenderView | undefined> {
  const where = { jobId, position, job: ofScope(scope) };
  const row = await read(context.prisma.render.findFirst({ where, include: renderInclude }));
  return row === null ? undefined : renderFromRow(row, await uploadsOf(context, row));
}

/** The media that a render starts from, of those that are stored. */
async function uploadsOf({ prisma }: StoreContext, row: RenderSummaryRow): Promise<readonly UploadRow[]> {
  const { image, references } = specOf(row);
  const sha256s = [image.sha256, ...references.map(({ sha256 }) => sha256)];
  const where = { sha256: { in: sha256s }, artifact: { isStored: true }, tenant: { jobs: { some: { id: row.jobId } } } };
  return await read(prisma.upload.findMany({ where, include: { artifact: true } }));
}

/** A page in order of position; undefined when there is no such job. */
export async function listRenders(context: StoreContext, ask: RenderListAsk): Promise<readonly RenderSummary[] | undefined> {
  const { scope, jobId, states, afterPosition, limit } = ask;
  const job = await read(context.prisma.job.findFirst({ where: { id: jobId, ...ofScope(scope) }, select: { id: true } }));
  if (job === null) return undefined;
  const where = {
    jobId,
    ...(states.length > 0 ? { state: { in: [...states] } } : {}),
    ...(afterPosition === undefined ? {} : { position: { gt: afterPosition } }),
  };
  const rows = await read(context.prisma.render.findMany({ where, orderBy: { position: "asc" }, take: limit }));
  return rows.map(renderSummaryFromRow);
}
