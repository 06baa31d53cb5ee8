/**
 * Renders that are right → a job as the store takes it: defaults filled in, graphs planned.
 */
import { setImmediate as otherCallsTurn } from "node:timers/promises";
import { completeRender, type JobRequest } from "../../domain/render-request.ts";
import { webhookKeyOf } from "../../domain/webhook-rules.ts";
import type { JobToStore, ManifestRender, PlannedRender, Reuse, SubmitJob } from "../store/store-contract.ts";
import type { RenderVerdict } from "./check-renders.ts";
import type { Call } from "./method.ts";
import type { PlanOwner } from "./served-model.ts";

/** A request's tenant and the hash of its body, which tells a repeat from a conflict. */
export type Body = { readonly tenant: string; readonly bodyDigest: string };

/** A render that is right. */
export type RightRender = Extract<RenderVerdict, { kind: "right" }>;

/** What planning draws and names; chance is handed in. */
export type PlanDependencies = { readonly newJobId: () => string; readonly drawSeed: () => bigint };

/** A job to store: what was asked of it, and the renders that are right, in order of position. */
export type JobToPlan = { readonly request: JobRequest; readonly body: Body; readonly renders: readonly RightRender[] };

/** Planning is hashing: so many renders are planned before other calls get their turn. */
const rendersPerTurn = 25;

/** The job, planned; other calls get their turn in between, and a caller that has gone ends it. */
export async function planJob(dependencies: PlanDependencies, { request, body, renders }: JobToPlan, call: Call): Promise<SubmitJob> {
  const job = jobToStore(dependencies, request, body);
  const planned: PlannedRender[] = [];
  for (const right of renders) {
    planned.push(planOne(right, job, dependencies.drawSeed()));
    if (planned.length % rendersPerTurn !== 0) continue;
    await otherCallsTurn();
    call.signal.throwIfAborted();
  }
  return { ...job, renders: planned };
}

/** The job itself, under a new id. */
export function jobToStore({ newJobId }: Pick<PlanDependencies, "newJobId">, request: JobRequest, body: Body): JobToStore {
  const jobClass = request.jobClass === "benchmark" ? "benchmark" : "production";
  return {
    jobId: newJobId(),
    tenant: body.tenant,
    idempotencyKey: request.idempotencyKey === "" ? undefined : request.idempotencyKey,
    bodyDigest: body.bodyDigest,
    jobClass,
    priority: request.priority,
    deadline: request.deadline,
    reuse: reuseOf(request.reuse, jobClass),
    webhook: webhookOf(request),
  };
}

/** A render of a manifest: to be planned later. */
export function manifestRenderOf({ render, model }: Pick<RightRender, "render" | "model">, drawnSeed: bigint): ManifestRender {
  const { weights, fps } = model.manifest;
  const spec = completeRender(render, model.facts, drawnSeed);
  return { render: spec, modelWeights: weights, fps, modelDigest: model.digestFor(spec), pool: model.pool };
}

function planOne({ render, model }: RightRender, owner: PlanOwner, drawnSeed: bigint): PlannedRender {
  const spec = completeRender(render, model.facts, drawnSeed);
  const { weights, fps } = model.manifest;
  return { render: spec, modelWeights: weights, fps, modelDigest: model.digestFor(spec), tasks: model.plan(spec, owner) };
}

function webhookOf({ webhook }: JobRequest): SubmitJob["webhook"] {
  const secret = webhook === undefined ? undefined : webhookKeyOf(webhook.secret);
  return webhook === undefined || secret === undefined ? undefined : { url: webhook.url, secret };
}

function reuseOf(asked: JobRequest["reuse"], jobClass: "production" | "benchmark"): Reuse {
  if (asked === "all" || asked === "inputs" || asked === "none") return asked;
  return jobClass === "benchmark" ? "inputs" : "all";
}
