/**
 * What a client asks for when it submits a render, before any default is filled in, and how it becomes a RenderSpec.
 *
 * Pure: the model's facts and the drawn seed are arguments. `completeRender` expects a request in which
 * render-rules.ts found nothing wrong.
 */
import type { FrameSelection, MediaReference, OutputKind, RenderSpec, SchedulerKind } from "./render-spec.ts";
import type { SchedulerFamily } from "./vap/schedulers/scheduler.ts";
import type { MetricName } from "./vbench/metric.ts";

/** A wire enum's value: absent, known, or one that this version does not know. */
export type Choice<T extends string> = T | "unspecified" | "unrecognized";

/** Media as a client names it: by hash, as bytes, or by address. Exactly one of the three is right; an empty one is not given. */
export type MediaSource = MediaReference & { readonly inline?: Uint8Array; readonly uri?: string };

/** What shall be measured; an empty name is the only metric repository that there is, no metrics are all that it can compute. */
export type ScoreRequest = { readonly metricsModel: string; readonly metrics: readonly Choice<MetricName>[] };

export type RenderRequest = {
  readonly model: string;
  readonly image: MediaSource | undefined;
  readonly prompt: string;
  readonly negativePrompt: string | undefined;
  readonly references: readonly MediaSource[];
  readonly referencePrompts: readonly string[];
  readonly seed: bigint | undefined;
  readonly steps: number | undefined;
  /** Each half is the model's default where it is absent. */
  readonly guidance: { readonly scale?: number | undefined; readonly dynamic?: boolean | undefined } | undefined;
  readonly scheduler: Choice<SchedulerKind>;
  readonly frameSelection: Choice<FrameSelection>;
  readonly outputs: readonly Choice<OutputKind>[];
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly frames: number | undefined;
  /** What the result stands beside in its panels. */
  readonly target?: MediaSource | undefined;
  /** Of one that nothing is wrong with: the repository's name and at least one metric (`resolveScores`). */
  readonly scores?: ScoreRequest | undefined;
};

/** Whom to tell of a job's end, as a client names it. */
export type WebhookRequest = { readonly url: string; readonly secret: string };

/** What is asked of a job, whatever it renders. */
export type JobRequest = {
  /** Empty: no idempotency. */
  readonly idempotencyKey: string;
  readonly jobClass: Choice<"production" | "benchmark">;
  readonly priority: number;
  readonly deadline: Date | undefined;
  readonly reuse: Choice<"all" | "inputs" | "none">;
  readonly webhook?: WebhookRequest | undefined;
};

/** A job of one render. */
export type SubmitRequest = JobRequest & { readonly render: RenderRequest | undefined };

/** What a request is checked against and completed from, taken from the model's manifest. */
export type ModelFacts = {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly maxReferences: number;
  /** Whether guidance may change over the steps. */
  readonly hasDynamicGuidance: boolean;
  readonly schedulers: Pick<SchedulerFamily, "kind" | "kinds" | "cautions">;
  readonly defaults: {
    readonly steps: number;
    readonly guidanceScale: number;
    readonly dynamicGuidance: boolean;
    readonly negativePrompt: string;
  };
};

/** The render with every default of its model filled in; `drawnSeed` serves when the request names none. */
export function completeRender(request: RenderRequest, model: ModelFacts, drawnSeed: bigint): RenderSpec {
  const outputs = request.outputs.filter(isKnown);
  const steps = request.steps ?? model.defaults.steps;
  const scheduler = isKnown(request.scheduler) ? request.scheduler : model.schedulers.kind;
  return {
    model: model.name,
    image: referenceOf(request.image ?? { sha256: "" }),
    prompt: request.prompt,
    negativePrompt: request.negativePrompt ?? model.defaults.negativePrompt,
    references: request.references.map(referenceOf),
    referencePrompts: request.referencePrompts,
    seed: (request.seed ?? drawnSeed).toString(),
    steps,
    guidanceScale: request.guidance?.scale ?? model.defaults.guidanceScale,
    dynamicGuidance: request.guidance?.dynamic ?? model.defaults.dynamicGuidance,
    scheduler,
    frameSelection: isKnown(request.frameSelection) ? request.frameSelection : "evenly",
    outputs: outputs.length === 0 ? ["mp4"] : outputs,
    width: model.width,
    height: model.height,
    frames: model.frames,
    ...(request.target === undefined ? {} : { target: referenceOf(request.target) }),
    ...(request.scores === undefined ? {} : { scores: { ...request.scores, metrics: request.scores.metrics.filter(isKnown) } }),
    warnings: model.schedulers.cautions(scheduler, steps),
  };
}

/** By hash alone, and where it came from: bytes and addresses were turned into uploads before. */
function referenceOf({ sha256, sourceUri }: MediaSource): MediaReference {
  return sourceUri === undefined ? { sha256 } : { sha256, sourceUri };
}

function isKnown<T extends string>(choice: Choice<T>): choice is T {
  return choice !== "unspecified" && choice !== "unrecognized";
}
