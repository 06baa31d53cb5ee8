/**
 * The request as it goes over the wire.
 */
import type { Choice, MediaSource, RenderRequest, SubmitRequest } from "../../domain/render-request.ts";
import type { FrameSelection as Selection, OutputKind as Output, SchedulerKind as Scheduler } from "../../domain/render-spec.ts";
import { JobClass, MediaReference, RenderSpec, Reuse, type SubmitRenderRequest, Webhook } from "../../gen/proto/vapfarm/v1/farm.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../../gen/proto/vapfarm/v1/stage.ts";

type Numbers<T extends string, N> = Readonly<Record<T, N>>;

const schedulers: Numbers<Scheduler, SchedulerKind> = {
  ddim: SchedulerKind.SCHEDULER_KIND_DDIM,
  dpm: SchedulerKind.SCHEDULER_KIND_DPM,
  unipc: SchedulerKind.SCHEDULER_KIND_UNIPC,
  euler: SchedulerKind.SCHEDULER_KIND_EULER,
};
const selections: Numbers<Selection, FrameSelection> = {
  evenly: FrameSelection.FRAME_SELECTION_EVENLY,
  first: FrameSelection.FRAME_SELECTION_FIRST,
};
const outputs: Numbers<Output, OutputKind> = {
  mp4: OutputKind.OUTPUT_KIND_MP4,
  latents: OutputKind.OUTPUT_KIND_LATENTS,
  frames: OutputKind.OUTPUT_KIND_FRAMES,
  panels: OutputKind.OUTPUT_KIND_PANELS,
};
const reuses: Numbers<"all" | "inputs" | "none", Reuse> = { all: Reuse.REUSE_ALL, inputs: Reuse.REUSE_INPUTS, none: Reuse.REUSE_NONE };
const classes: Numbers<"production" | "benchmark", JobClass> = {
  production: JobClass.JOB_CLASS_PRODUCTION,
  benchmark: JobClass.JOB_CLASS_BENCHMARK,
};

/** Zero is every enum's "unspecified"; an unrecognized choice never gets here. */
function numberOf<T extends string, N>(numbers: Numbers<T, N>, choice: Choice<T>): N | 0 {
  return choice === "unspecified" || choice === "unrecognized" ? 0 : numbers[choice];
}

/** The wire's request. */
export function submitRequestToProto(request: SubmitRequest): SubmitRenderRequest {
  return {
    render: request.render === undefined ? undefined : renderRequestToProto(request.render),
    idempotencyKey: request.idempotencyKey,
    jobClass: numberOf(classes, request.jobClass),
    priority: request.priority,
    deadline: request.deadline,
    reuse: numberOf(reuses, request.reuse),
    webhook: request.webhook === undefined ? undefined : Webhook.create(request.webhook),
  };
}

function renderRequestToProto(render: RenderRequest): RenderSpec {
  return RenderSpec.create({
    ...render,
    // Benchmark runs alone ask for scores and panels, and the farm makes their renders.
    target: undefined,
    scores: undefined,
    image: render.image === undefined ? undefined : mediaToProto(render.image),
    references: render.references.map(mediaToProto),
    referencePrompts: [...render.referencePrompts],
    scheduler: numberOf(schedulers, render.scheduler),
    frameSelection: numberOf(selections, render.frameSelection),
    outputs: render.outputs.map((output) => numberOf(outputs, output)),
  });
}

function mediaToProto({ sha256, uri = "" }: MediaSource): MediaReference {
  return MediaReference.create({ sha256, uri });
}
