/**
 * What SubmitRender and SubmitRenders share: idempotency, the job's own rules, and what storing told.
 *
 * Invariants: nothing is stored unless nothing is wrong with what is stored; a repeated request with the same idempotency key and body gets
 * the first job as it is, its drawn seeds too, even if the request would not be accepted any more; nothing is resolved for a repeat.
 */
import { FarmError, type FieldViolation } from "../../domain/errors.ts";
import { type RuleViolation, type Violations } from "../../domain/field-rules.ts";
import type { JobRequest } from "../../domain/render-request.ts";
import { jobViolations } from "../../domain/render-rules.ts";
import type { Aftermath, BooksStore, Full, JobStore, JobView, MissingUpload, SubmitOutcome } from "../store/store-contract.ts";
import { refuseSpent } from "./budgets.ts";
import { type CheckDependencies, type CheckedRenders } from "./check-renders.ts";
import type { Call } from "./method.ts";
import type { SubmitSpans } from "../tracing/submit-span.ts";
import { type JobToPlan, planJob, type PlanDependencies, type Body } from "./plan-job.ts";

/** How long a full farm asks to be left alone: renders take minutes. */
const fullRetryMs = 15_000;

/** What submitting works with; clock and chance are handed in. */
export type SubmitDependencies = CheckDependencies &
  PlanDependencies & {
    readonly store: Pick<JobStore, "submitJob" | "submitManifest" | "findSubmitted" | "getJob"> & Pick<BooksStore, "usedUpBudget">;
    /** Whether the operator allows to tell this address. */
    readonly checkWebhook: (url: string) => FieldViolation | undefined;
    /** Spans of what is stored. */
    readonly submitSpans: SubmitSpans;
    /** Called after the commit. */
    readonly onCommitted: (aftermath: Aftermath) => void;
    readonly now: () => Date;
  };

/** Everything that is wrong with the job itself. */
export function jobViolationsOf({ now, checkWebhook }: SubmitDependencies, request: JobRequest): Violations {
  const found = jobViolations(request, now());
  const { webhook } = request;
  if (webhook === undefined || found.some(({ field }) => field === "webhook.url")) return found;
  const refused = checkWebhook(webhook.url);
  return refused === undefined ? found : [...found, { ...refused, code: "ADDRESS_REFUSED" }];
}

/** The job that this request made before; throws IDEMPOTENCY_CONFLICT when another did under its key. */
export async function findRepeated(
  { store }: Pick<SubmitDependencies, "store">,
  request: JobRequest,
  { tenant, bodyDigest }: Body,
): Promise<JobView | undefined> {
  const first = await findSubmittedJob({ store }, request, tenant);
  if (first === undefined) return undefined;
  if (first.bodyDigest !== bodyDigest) throw conflict();
  return await store.getJob(tenant, first.jobId);
}

/** The job that was made under the request's key, whatever its body was. */
export async function findSubmittedJob({ store }: Pick<SubmitDependencies, "store">, request: JobRequest, tenant: string) {
  return request.idempotencyKey === "" ? undefined : await store.findSubmitted(tenant, request.idempotencyKey);
}

/** What storing came to: the job, or uploads that went away in between, which the caller blames on the renders that name them. */
export type Stored =
  | { readonly kind: "stored"; readonly job: JobView }
  | { readonly kind: "repeated"; readonly job: JobView }
  | { readonly kind: "invalid"; readonly missing: readonly MissingUpload[] };

/**
 * Stores the media of renders that are right, then the job. Nothing is stored for a caller that has gone, nor for a tenant whose budget is
 * used up (BUDGET_USED_UP).
 */
export async function store(dependencies: SubmitDependencies, toPlan: JobToPlan, call: Call): Promise<Stored> {
  const sinceMs = dependencies.submitSpans.now();
  await refuseSpent(dependencies.store, call.caller.tenant);
  const job = await planJob(dependencies, toPlan, call);
  call.signal.throwIfAborted();
  const committed = new Set<string>();
  for (const media of toPlan.renders.flatMap((right) => right.media)) {
    if (committed.has(media.upload.sha256)) continue;
    await media.commit();
    committed.add(media.upload.sha256);
  }
  call.signal.throwIfAborted();
  const submit = { jobId: job.jobId, renders: job.renders.length, caller: call.trace, sinceMs };
  return settle(dependencies, await dependencies.submitSpans.around(submit, (kept) => dependencies.store.submitJob({ ...job, ...kept })));
}

/** Tells others of what was stored; throws IDEMPOTENCY_CONFLICT and FARM_FULL. */
export function settle({ onCommitted }: Pick<SubmitDependencies, "onCommitted">, outcome: SubmitOutcome): Stored {
  switch (outcome.kind) {
    case "stored":
      onCommitted({
        ready: outcome.ready,
        touchedJobIds: [outcome.job.jobId],
        hasWaiting: outcome.isWaiting,
        reused: outcome.reused ?? [],
      });
      return { kind: "stored", job: outcome.job };
    case "repeated":
      return { kind: "repeated", job: outcome.job };
    case "conflict":
      throw conflict();
    case "full":
      throw full(outcome);
    case "invalid":
      return { kind: "invalid", missing: outcome.missing };
  }
}

function full({ what, most, isOwnLimit = false, isFinal = false }: Full): FarmError {
  const message = isOwnLimit
    ? `the tenant may have at most ${most} open renders (\`vapfarm tenants\`), and would have more with these`
    : `the farm takes no more: it has ${most} ${what}, or would have with these`;
  return isFinal
    ? new FarmError("TENANT_LIMIT_EXCEEDED", { message })
    : new FarmError("FARM_FULL", { message, details: { retryAfterMs: fullRetryMs } });
}

/** An upload that is missing as a violation of the render at `at`. */
export function missingUpload({ violation }: MissingUpload, at: string): RuleViolation {
  return { ...violation, field: `${at}.${violation.field}`, code: "MEDIA_UNKNOWN" };
}

/** Runs work with what was checked, and removes what resolving left behind, however it ends. */
export async function withChecked<T>(checked: CheckedRenders, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await checked.release();
  }
}

/** That another body was sent under the key. */
export function conflict(): FarmError {
  const remedy = "choose a new key, or repeat the first body unchanged";
  return new FarmError("IDEMPOTENCY_CONFLICT", {
    details: { fields: [{ field: "idempotency_key", reason: "was used with another body", remedy }] },
  });
}
