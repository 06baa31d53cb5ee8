/**
 * CancelJob, CancelRender, RetryJob, RetryRender and UpdateJob: what changes a job after it was submitted.
 */
import { FarmError } from "../../domain/errors.ts";
import { maskRule, refusalOf, refuseAny, timeRule, violation, type Violations } from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import { comingRule, priorityRule } from "../../domain/render-rules.ts";
import type {
  CancelJobRequest,
  CancelJobResponse,
  CancelRenderRequest,
  CancelRenderResponse,
  RetryJobRequest,
  RetryJobResponse,
  RetryRenderRequest,
  RetryRenderResponse,
  UpdateJobRequest,
  UpdateJobResponse,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import type { Aftermath, BooksStore, JobPatch, JobStore, MissingUpload, RenderView, RetryOutcome } from "../store/store-contract.ts";
import { refuseSpent } from "./budgets.ts";
import { scopeOf } from "./caller.ts";
import { jobToProto, renderToProto } from "./job-mapping.ts";
import { explainNoRender, jobUnknown, positionRule, requireJobId } from "./jobs.ts";
import type { Call } from "./method.ts";
import { missingUpload } from "./submission.ts";

/** What steering works with; `onCommitted` is called after the commit. */
export type SteerDependencies = {
  readonly store: Pick<JobStore, "getJob" | "getRender" | "cancelJob" | "retryJob" | "updateJob"> & Pick<BooksStore, "usedUpBudget">;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly now: () => Date;
};

type RenderName = { readonly jobId: string; readonly position: number };

const updatable = ["priority", "deadline"];

/** The handler of CancelJob: idempotent, and an ended job stays as it ended. */
export function createCancelJob({ store, onCommitted }: SteerDependencies) {
  return async ({ jobId }: CancelJobRequest, { caller }: Call): Promise<CancelJobResponse> => {
    const change = isJobId(jobId) ? await store.cancelJob(scopeOf(caller), jobId) : undefined;
    if (change === undefined) throw jobUnknown(jobId);
    onCommitted(change.aftermath);
    return { job: jobToProto(change.job) };
  };
}

/** The handler of CancelRender. */
export function createCancelRender({ store, onCommitted }: SteerDependencies) {
  return async (request: CancelRenderRequest, call: Call): Promise<CancelRenderResponse> => {
    const { jobId, position } = request;
    refuseAny(positionRule("position", position));
    const change = isJobId(jobId) ? await store.cancelJob(scopeOf(call.caller), jobId, position) : undefined;
    if (change === undefined) throw await explainNoRender(store, request, call);
    onCommitted(change.aftermath);
    return { render: renderToProto(await renderOf(store, request, call)) };
  };
}

/** The handler of RetryJob. */
export function createRetryJob({ store, onCommitted }: SteerDependencies) {
  return async ({ jobId }: RetryJobRequest, call: Call): Promise<RetryJobResponse> => {
    const outcome = await retry(store, { jobId }, call);
    if (outcome === undefined) throw jobUnknown(jobId);
    const { job } = settled(outcome);
    if (outcome.kind === "retried") onCommitted(outcome.aftermath);
    const { succeeded, total } = job.renderCounts;
    if (outcome.kind === "nothing" && succeeded === total) throw notRetryable(`every render of job ${jobId} has succeeded`, jobId);
    return { job: jobToProto(job), retriedRenders: outcome.kind === "retried" ? outcome.renders : 0 };
  };
}

/** The handler of RetryRender. */
export function createRetryRender({ store, onCommitted }: SteerDependencies) {
  return async (request: RetryRenderRequest, call: Call): Promise<RetryRenderResponse> => {
    const { jobId, position } = request;
    refuseAny(positionRule("position", position));
    const outcome = await retry(store, request, call);
    if (outcome === undefined) throw await explainNoRender(store, request, call);
    settled(outcome);
    if (outcome.kind === "retried") onCommitted(outcome.aftermath);
    const render = await renderOf(store, request, call);
    if (outcome.kind === "nothing" && render.state === "succeeded") {
      throw notRetryable(`render ${position} of job ${jobId} has succeeded`, `${jobId}/${position}`);
    }
    return { render: renderToProto(render) };
  };
}

type Retried = { readonly jobId: string; readonly position?: number };

/** Undefined when the caller has no such job or render. What a budget would end again is refused. */
async function retry(store: SteerDependencies["store"], { jobId, position }: Retried, { caller }: Call): Promise<RetryOutcome | undefined> {
  const scope = scopeOf(caller);
  const job = isJobId(jobId) ? await store.getJob(scope, jobId) : undefined;
  if (job === undefined) return undefined;
  await refuseSpent(store, job.tenant, jobId);
  return await store.retryJob(scope, jobId, position);
}

function settled(outcome: RetryOutcome): Exclude<RetryOutcome, { kind: "invalid" | "pool_gone" }> {
  if (outcome.kind === "invalid") throw refusalOf(outcome.missing.map(goneUpload));
  if (outcome.kind === "pool_gone") throw poolGone(outcome.pool);
  return outcome;
}

/** A retry plans for the pool that was planned for. */
export function poolGone(pool: string): FarmError {
  const message = `it was planned for pool ${pool}, which the farm has no more: submit it anew, or configure the pool again`;
  return new FarmError("POOL_UNKNOWN", { message, details: { subject: pool } });
}

/** An upload that must be there again before anything is retried. */
export function goneUpload(missing: MissingUpload) {
  const gone = missingUpload(missing, `renders[${missing.position}]`);
  return { ...gone, remedy: "upload the same media again, then retry" };
}

function notRetryable(message: string, subject: string): FarmError {
  return new FarmError("JOB_NOT_RETRYABLE", { message, details: { subject } });
}

async function renderOf(store: SteerDependencies["store"], name: RenderName, call: Call): Promise<RenderView> {
  const render = await store.getRender(scopeOf(call.caller), name.jobId, name.position);
  if (render === undefined) throw await explainNoRender(store, name, call);
  return render;
}

/** The handler of UpdateJob. */
export function createUpdateJob({ store, onCommitted, now }: SteerDependencies) {
  return async (request: UpdateJobRequest, { caller }: Call): Promise<UpdateJobResponse> => {
    refuseAny(updateViolations(request, now()));
    const { jobId } = request;
    requireJobId(jobId);
    const outcome = await store.updateJob(scopeOf(caller), jobId, patchOf(request));
    if (outcome === undefined) throw jobUnknown(jobId);
    if (outcome.kind === "ended") throw new FarmError("JOB_ENDED", { message: `job ${jobId} has ended`, details: { subject: jobId } });
    onCommitted(outcome.aftermath);
    return { job: jobToProto(outcome.job) };
  };
}

function updateViolations({ updateMask = [], priority, deadline }: UpdateJobRequest, now: Date): Violations {
  if (updateMask.length === 0) return [violation("update_mask", "names no field", `name some of: ${updatable.join(", ")}`)];
  return [
    ...maskRule("update_mask", updateMask, updatable),
    ...(updateMask.includes("priority") ? priorityRule(priority) : []),
    ...(updateMask.includes("deadline") ? [...timeRule("deadline", deadline), ...comingRule(deadline, now)] : []),
  ];
}

function patchOf({ updateMask = [], priority, deadline }: UpdateJobRequest): JobPatch {
  return {
    ...(updateMask.includes("priority") ? { priority } : {}),
    ...(updateMask.includes("deadline") ? { deadline: deadline ?? null } : {}),
  };
}
