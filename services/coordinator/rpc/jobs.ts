/**
 * Finding the job or render that a request names, and saying what is missing when there is none.
 */
import { FarmError } from "../../domain/errors.ts";
import { numberRule, type Violations } from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import type { JobStore, JobView } from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import type { Call } from "./method.ts";

const maxInt32 = 2 ** 31 - 1;

/** The caller's job; JOB_UNKNOWN when the caller may see no such job. */
export async function jobOfCaller(store: Pick<JobStore, "getJob">, jobId: string, { caller }: Pick<Call, "caller">): Promise<JobView> {
  const job = isJobId(jobId) ? await store.getJob(scopeOf(caller), jobId) : undefined;
  if (job === undefined) throw jobUnknown(jobId);
  return job;
}

/** Throws JOB_UNKNOWN for what cannot be a job's id, before it is looked up. */
export function requireJobId(jobId: string): void {
  if (!isJobId(jobId)) throw jobUnknown(jobId);
}

/** That a job is not there, or not one that the caller may see: which of the two is not told. */
export function jobUnknown(jobId: string): FarmError {
  const named = jobId.slice(0, 80);
  const field = { field: "job_id", reason: `there is no job "${named}", or none that the caller may see`, remedy: "check the job id" };
  return new FarmError("JOB_UNKNOWN", { details: { fields: [field], resource: named } });
}

/** A position as the wire's int32 may be one. */
export function positionRule(field: string, position: number): Violations {
  return numberRule(field, { value: position, min: 0, max: maxInt32 });
}

/** A render as a request names it; `field` is where the request says its position. */
export type RenderName = { readonly jobId: string; readonly position: number; readonly field?: "position" | "render_position" };

/** Why there is no render at a position: RENDER_UNKNOWN, or JOB_UNKNOWN. */
export async function explainNoRender(
  store: Pick<JobStore, "getJob">,
  { jobId, position, field = "position" }: RenderName,
  call: Pick<Call, "caller">,
): Promise<FarmError> {
  const job = await jobOfCaller(store, jobId, call);
  const { total } = job.renderCounts;
  const remedy = total === 1 ? "the job has one render, at position 0" : `choose a position of 0 .. ${total - 1}`;
  const found = { field, reason: `job ${jobId} has no render ${position}`, remedy };
  return new FarmError("RENDER_UNKNOWN", { message: found.reason, details: { fields: [found], resource: `${jobId}/${position}` } });
}
