/**
 * SubmitRender: checks everything at once, fills in the model's defaults, plans the graph, stores it in one transaction.
 *
 * Invariants: nothing is stored unless nothing is wrong; a repeated request with the same idempotency key and body gets
 * the first job as it is, its drawn seed too, even if the request would not be accepted any more.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";
import { completeRender, type ModelFacts, type SubmitRequest } from "../../domain/render-request.ts";
import { formViolationsOf, refusalOf, violationsOf } from "../../domain/render-rules.ts";
import { isSha256 } from "../../domain/ids.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { PlannedTask } from "../../domain/stage-graph.ts";
import { SubmitRenderRequest, type SubmitRenderResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { Aftermath, JobStore, MediaStore, Reuse, SubmitJob, SubmitOutcome } from "../store/store-contract.ts";
import { jobToProto } from "./job-mapping.ts";
import type { Call } from "./method.ts";
import { submitRequestFromProto } from "./submit-mapping.ts";

/** A model that the farm serves: facts for checking, and the planner of its graph. */
export type ServedModel = {
  readonly facts: ModelFacts;
  readonly weights: string;
  readonly fps: number;
  plan(render: RenderSpec, job: { readonly jobId: string; readonly tenant: string; readonly reuse: Reuse }): readonly PlannedTask[];
};

/** What SubmitRender works with; clock and chance are handed in. */
export type SubmitDependencies = {
  readonly store: Pick<JobStore, "submitJob" | "findSubmitted" | "getJob"> & Pick<MediaStore, "findUploads">;
  /** Models by name, as they are now. */
  readonly models: () => Promise<ReadonlyMap<string, ServedModel>>;
  /** Called after the commit. */
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly newJobId: () => string;
  readonly drawSeed: () => bigint;
  readonly now: () => Date;
};

/** The handler of SubmitRender. */
export function createSubmitRender(dependencies: SubmitDependencies) {
  return async (wire: SubmitRenderRequest, { caller }: Call): Promise<SubmitRenderResponse> => {
    const { tenant } = caller;
    const request = submitRequestFromProto(wire);
    // What has no form can be neither digested nor looked up; the check then tells everything that is wrong.
    if (formViolationsOf(request).length > 0) await check(dependencies, request, tenant);
    const body = { tenant, bodyDigest: bodyDigestOf(wire) };
    const repeated = await findRepeated(dependencies, request, body);
    if (repeated !== undefined) return { job: jobToProto(repeated) };
    const job = await prepareJob(dependencies, request, body);
    const outcome = await dependencies.store.submitJob(job);
    return { job: jobToProto(settle(dependencies, outcome)) };
  };
}

type Body = { readonly tenant: string; readonly bodyDigest: string };

/** SHA-256 of the request as it was sent, its idempotency key apart: what tells a repeat from a conflict. */
function bodyDigestOf(request: SubmitRenderRequest): string {
  const bytes = SubmitRenderRequest.encode({ ...request, idempotencyKey: "" }).finish();
  return createHash("sha256").update(bytes).digest("hex");
}

async function findRepeated({ store }: SubmitDependencies, request: SubmitRequest, { tenant, bodyDigest }: Body) {
  if (request.idempotencyKey === "") return undefined;
  const first = await store.findSubmitted(tenant, request.idempotencyKey);
  if (first === undefined) return undefined;
  if (first.bodyDigest !== bodyDigest) throw conflict();
  return await store.getJob(tenant, first.jobId);
}

function conflict(): FarmError {
  const remedy = "choose a new key, or repeat the first body unchanged";
  return new FarmError("IDEMPOTENCY_CONFLICT", {
    details: { fields: [{ field: "idempotency_key", reason: "was used with another body", remedy }] },
  });
}

async function prepareJob(dependencies: SubmitDependencies, request: SubmitRequest, body: Body): Promise<SubmitJob> {
  const { render, model } = await check(dependencies, request, body.tenant);
  const spec = completeRender(render, model.facts, dependencies.drawSeed());
  const jobId = dependencies.newJobId();
  const jobClass = request.jobClass === "benchmark" ? "benchmark" : "production";
  const reuse = reuseOf(request.reuse, jobClass);
  return {
    jobId,
    tenant: body.tenant,
    idempotencyKey: request.idempotencyKey === "" ? undefined : request.idempotencyKey,
    bodyDigest: body.bodyDigest,
    jobClass,
    priority: request.priority,
    deadline: request.deadline,
    reuse,
    render: spec,
    modelWeights: model.weights,
    fps: model.fps,
    tasks: model.plan(spec, { jobId, tenant: body.tenant, reuse }),
  };
}

function reuseOf(asked: SubmitRequest["reuse"], jobClass: "production" | "benchmark"): Reuse {
  if (asked === "all" || asked === "inputs" || asked === "none") return asked;
  return jobClass === "benchmark" ? "inputs" : "all";
}

async function check({ store, models, now }: SubmitDependencies, request: SubmitRequest, tenant: string) {
  const served = await models();
  const hashes = mediaOf(request);
  const uploads = hashes.length === 0 ? [] : await store.findUploads(tenant, hashes);
  const violations = violationsOf(request, {
    models: new Map([...served].map(([name, { facts }]) => [name, facts])),
    uploads: new Map(uploads.map((upload) => [upload.sha256, upload])),
    now: now(),
  });
  const { render } = request;
  const model = render === undefined ? undefined : served.get(render.model);
  if (violations.length > 0 || render === undefined || model === undefined) throw refusalOf(violations);
  return { render, model };
}

function mediaOf({ render }: SubmitRequest): readonly string[] {
  if (render === undefined) return [];
  const hashes = [render.image, ...render.references].flatMap((media) => (media === undefined ? [] : [media.sha256]));
  return [...new Set(hashes)].filter(isSha256);
}

function settle({ onCommitted }: SubmitDependencies, outcome: SubmitOutcome) {
  switch (outcome.kind) {
    case "stored":
      onCommitted({ ready: outcome.ready, touchedJobIds: [outcome.job.jobId] });
      return outcome.job;
    case "repeated":
      return outcome.job;
    case "conflict":
      throw conflict();
    case "invalid":
      throw refusalOf(outcome.fields.map((field) => ({ ...field, code: "MEDIA_UNKNOWN" })));
  }
}
