/**
 * Named pairs between farm.proto's render and the domain's: the wire's enums are open, so each may be unrecognized.
 */
import type { JobRequest, MediaSource, RenderRequest, ScoreRequest } from "../../domain/render-request.ts";
import type { MediaReference, RenderSpec, ScoreSpec } from "../../domain/render-spec.ts";
import {
  type ManifestHeader,
  MediaReference as WireMedia,
  RenderSpec as WireRender,
  type ScoreSpec as WireScores,
  type SubmitRenderRequest,
  type SubmitRendersRequest,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import { choiceOf, frameSelections, jobClasses, metrics, outputKinds, reuses, schedulers } from "./wire-names.ts";

/** What a request says of the job, whatever it renders. */
export function jobRequestFromProto(request: SubmitRenderRequest | SubmitRendersRequest | ManifestHeader): JobRequest {
  const { idempotencyKey, priority, deadline, webhook } = request;
  return {
    idempotencyKey,
    jobClass: choiceOf(jobClasses, request.jobClass),
    priority,
    deadline,
    reuse: choiceOf(reuses, request.reuse),
    webhook: webhook === undefined ? undefined : { url: webhook.url, secret: webhook.secret },
  };
}

/** One render as the rules read it. */
export function renderRequestFromProto(render: WireRender): RenderRequest {
  return {
    model: render.model,
    image: render.image === undefined ? undefined : mediaFromProto(render.image),
    prompt: render.prompt,
    negativePrompt: render.negativePrompt,
    references: render.references.map(mediaFromProto),
    referencePrompts: render.referencePrompts,
    seed: render.seed,
    steps: render.steps,
    guidance: render.guidance,
    scheduler: choiceOf(schedulers, render.scheduler),
    frameSelection: choiceOf(frameSelections, render.frameSelection),
    outputs: render.outputs.map((output) => choiceOf(outputKinds, output)),
    width: render.width,
    height: render.height,
    frames: render.frames,
    ...(render.target === undefined ? {} : { target: mediaFromProto(render.target) }),
    ...(render.scores === undefined ? {} : { scores: scoresFromProto(render.scores) }),
  };
}

function scoresFromProto({ metricsModel, metrics: asked }: WireScores): ScoreRequest {
  return { metricsModel, metrics: asked.map((metric) => choiceOf(metrics, metric)) };
}

function mediaFromProto({ sha256, inline, uri }: WireMedia): MediaSource {
  return { sha256, inline, uri };
}

function mediaToProto({ sha256, sourceUri }: MediaReference): WireMedia {
  return WireMedia.create({ sha256, uri: sourceUri ?? "" });
}

function scoresToProto({ metricsModel, metrics: asked }: ScoreSpec): WireScores {
  return { metricsModel, metrics: asked.map((metric) => metrics[metric]) };
}

/** A stored render, every default filled in, as clients see it. */
export function renderSpecToProto(spec: RenderSpec): WireRender {
  return WireRender.create({
    model: spec.model,
    image: mediaToProto(spec.image),
    prompt: spec.prompt,
    negativePrompt: spec.negativePrompt,
    references: spec.references.map(mediaToProto),
    referencePrompts: [...spec.referencePrompts],
    seed: BigInt(spec.seed),
    steps: spec.steps,
    guidance: { scale: spec.guidanceScale, dynamic: spec.dynamicGuidance },
    scheduler: schedulers[spec.scheduler],
    frameSelection: frameSelections[spec.frameSelection],
    outputs: spec.outputs.map((output) => outputKinds[output]),
    width: spec.width,
    height: spec.height,
    frames: spec.frames,
    ...(spec.target === undefined ? {} : { target: mediaToProto(spec.target) }),
    ...(spec.scores === undefined ? {} : { scores: scoresToProto(spec.scores) }),
  });
}
