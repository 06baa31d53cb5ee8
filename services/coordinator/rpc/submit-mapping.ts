/**
 * Named pairs between farm.proto's render and the domain's: the wire's enums are open, so each may be unrecognized.
 */
import type { Choice, RenderRequest, SubmitRequest } from "../../domain/render-request.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import { JobClass, RenderSpec as WireRender, Reuse, type SubmitRenderRequest } from "../../gen/proto/vapfarm/v1/farm.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../../gen/proto/vapfarm/v1/stage.ts";

type Names<T extends string> = Readonly<Record<number, T>>;

const schedulers: Names<RenderSpec["scheduler"]> = {
  [SchedulerKind.SCHEDULER_KIND_DDIM]: "ddim",
  [SchedulerKind.SCHEDULER_KIND_DPM]: "dpm",
};
const selections: Names<RenderSpec["frameSelection"]> = {
  [FrameSelection.FRAME_SELECTION_EVENLY]: "evenly",
  [FrameSelection.FRAME_SELECTION_FIRST]: "first",
};
const outputs: Names<RenderSpec["outputs"][number]> = {
  [OutputKind.OUTPUT_KIND_MP4]: "mp4",
  [OutputKind.OUTPUT_KIND_LATENTS]: "latents",
  [OutputKind.OUTPUT_KIND_FRAMES]: "frames",
};
const classes: Names<"production" | "benchmark"> = {
  [JobClass.JOB_CLASS_PRODUCTION]: "production",
  [JobClass.JOB_CLASS_BENCHMARK]: "benchmark",
};
const reuses: Names<"all" | "inputs" | "none"> = {
  [Reuse.REUSE_ALL]: "all",
  [Reuse.REUSE_INPUTS]: "inputs",
  [Reuse.REUSE_NONE]: "none",
};

function choiceOf<T extends string>(names: Names<T>, value: number): Choice<T> {
  return value === 0 ? "unspecified" : (names[value] ?? "unrecognized");
}

/** The wire's request as the rules read it. */
export function submitRequestFromProto(request: SubmitRenderRequest): SubmitRequest {
  return {
    render: request.render === undefined ? undefined : renderRequestFromProto(request.render),
    idempotencyKey: request.idempotencyKey,
    jobClass: choiceOf(classes, request.jobClass),
    priority: request.priority,
    deadline: request.deadline,
    reuse: choiceOf(reuses, request.reuse),
  };
}

function renderRequestFromProto(render: WireRender): RenderRequest {
  return {
    model: render.model,
    image: render.image,
    prompt: render.prompt,
    negativePrompt: render.negativePrompt,
    references: render.references,
    referencePrompts: render.referencePrompts,
    seed: render.seed,
    steps: render.steps,
    guidance: render.guidance,
    scheduler: choiceOf(schedulers, render.scheduler),
    frameSelection: choiceOf(selections, render.frameSelection),
    outputs: render.outputs.map((output) => choiceOf(outputs, output)),
    width: render.width,
    height: render.height,
    frames: render.frames,
  };
}

/** A stored render, every default filled in, as clients see it. */
export function renderSpecToProto(spec: RenderSpec): WireRender {
  return WireRender.create({
    model: spec.model,
    image: spec.image,
    prompt: spec.prompt,
    negativePrompt: spec.negativePrompt,
    references: [...spec.references],
    referencePrompts: [...spec.referencePrompts],
    seed: BigInt(spec.seed),
    steps: spec.steps,
    guidance: { scale: spec.guidanceScale, dynamic: spec.dynamicGuidance },
    scheduler: spec.scheduler === "ddim" ? SchedulerKind.SCHEDULER_KIND_DDIM : SchedulerKind.SCHEDULER_KIND_DPM,
    frameSelection: spec.frameSelection === "first" ? FrameSelection.FRAME_SELECTION_FIRST : FrameSelection.FRAME_SELECTION_EVENLY,
    outputs: spec.outputs.map(outputToProto),
    width: spec.width,
    height: spec.height,
    frames: spec.frames,
  });
}

function outputToProto(output: RenderSpec["outputs"][number]): OutputKind {
  switch (output) {
    case "mp4":
      return OutputKind.OUTPUT_KIND_MP4;
    case "latents":
      return OutputKind.OUTPUT_KIND_LATENTS;
    case "frames":
      return OutputKind.OUTPUT_KIND_FRAMES;
  }
}
