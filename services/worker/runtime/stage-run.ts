/**
 * One run of one stage, as plain data that crosses from the gRPC server to the inference thread.
 *
 * The wire's types stop here: everything that a stage sees was checked, so a stage never meets an unknown enum or a relative path.
 */
import { isAbsolute } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import type { FrameSelection, SchedulerKind } from "../../domain/render-spec.ts";
import { type EngineName, isEngineName, isMetricEngine, type ScoreStage, scoreStage, stagesWithoutEngine } from "../../domain/stage.ts";
import { isMetricName, type MetricEngine, type MetricName, type MetricOutcome } from "../../domain/vbench/metric.ts";
import type { ClipFacts } from "../../platform/media/clip-reader.ts";
import type { CheckpointPace } from "../../domain/vap/checkpoint-pace.ts";
import type { FrameResize } from "../../domain/vap/frame-resize.ts";
import * as wire from "../../gen/proto/vapfarm/v1/stage.ts";
import type { StageMade } from "./stages/stage-made.ts";

export type PrepareWork = {
  readonly stage: "prepare";
  readonly frames: number;
  readonly resize: FrameResize;
  readonly selection: FrameSelection;
};
export type TextEncodeWork = { readonly stage: "text_encode"; readonly prompt: string };
export type VaeEncodeWork = { readonly stage: "vae_encode"; readonly firstFrameOnly: boolean };
export type ClipEncodeWork = { readonly stage: "clip_encode" };
export type DenoiseWork = {
  readonly stage: "denoise";
  readonly seed: bigint;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly dynamicGuidance: boolean;
  /** Absent: the one that the model's scheduler config names. */
  readonly scheduler: SchedulerKind | undefined;
  readonly references: number;
};
export type DecodedOutput = "mp4" | "frames";
export type VaeDecodeWork = { readonly stage: "vae_decode"; readonly outputs: readonly DecodedOutput[] };

export type PanelsWork = { readonly stage: "panels"; readonly selection: FrameSelection; readonly fps: number };
export type ScoreWork = { readonly stage: ScoreStage; readonly metric: MetricName; readonly prompt: string };

/** Opens an engine and runs it once on made-up inputs. */
export type WarmWork = { readonly stage: "warm"; readonly engine: EngineName | MetricEngine };

export type StageWork =
  PrepareWork | TextEncodeWork | VaeEncodeWork | ClipEncodeWork | DenoiseWork | VaeDecodeWork | PanelsWork | ScoreWork | WarmWork;

/** What a metric came to, and on which frames. */
export type StageScore = {
  readonly metric: MetricName;
  readonly outcome: MetricOutcome;
  /** Digest over those of the networks; empty where the metric has none. */
  readonly modelDigest: string;
  /** Stream of frames, and what decoded them. */
  readonly decodeProfile: string;
  readonly clip: ClipFacts;
  /** How long the run waited for frames; 0: they were there. */
  readonly decodeMs: number;
};

export type StageInputSource = { readonly kind: "path"; readonly path: string } | { readonly kind: "inline"; readonly bytes: Uint8Array };

export type StageRun = {
  readonly runId: string;
  readonly modelFolder: string;
  /** Digests that the task was keyed with, by engine name. */
  readonly engineDigests: Readonly<Record<string, string>>;
  readonly work: StageWork;
  readonly inputs: Readonly<Record<string, StageInputSource>>;
  readonly outputFolder: string;
  /** Of denoise. */
  readonly checkpoints: CheckpointPace;
  /** Waits for the run that holds the slot, instead of being refused. */
  readonly mayWait: boolean;
};

/** Where a run is, written down. */
export type StageCheckpoint = {
  readonly path: string;
  readonly step: number;
  readonly bytes: number;
  readonly tookMs: number;
  /** Why it could not be written; empty where it was. */
  readonly failure: string;
};

export type StageOutputFile = {
  readonly name: string;
  readonly path: string;
  readonly mediaType: string;
  readonly bytes: number;
};

export type StageWarning = { readonly code: string; readonly message: string };

export type StageProgress = {
  readonly phase: "load" | "decode" | "encode" | "denoise" | "mp4" | "score";
  readonly step: number;
  readonly steps: number;
  /** Expected time of one step, 0 while unknown. */
  readonly stepMs: number;
};

/** What a run was when it let go of the slot; its outputs are still to be written. */
export type ComputedStage = {
  readonly made: readonly StageMade[];
  /** Of a score. */
  readonly score?: StageScore;
  readonly warnings: readonly StageWarning[];
  readonly computeMs: number;
  readonly loadMs: number;
  readonly deviceMs: number;
  /** Part of `computeMs`: the run stood still for its checkpoints. */
  readonly checkpointMs: number;
  /** Execution providers that ran, none where the stage needed no engine. */
  readonly providers: readonly string[];
  /** Digests of the engines whose sessions are open after the run. */
  readonly residentDigests: readonly string[];
};

export type StageResult = Omit<ComputedStage, "made"> & { readonly outputs: readonly StageOutputFile[] };

/** Checks a request and takes it off the wire; what is wrong is STAGE_INPUT_INVALID. */
export function stageRunFromProto(request: wire.RunStageRequest): StageRun {
  if (!isAbsolute(request.outputFolder)) throw invalid("output_folder must be an absolute path");
  const work = workFromProto(request.parameters?.kind);
  if ((work.stage === "warm" || !stagesWithoutEngine.includes(work.stage)) && !isAbsolute(request.modelFolder))
    throw invalid("model_folder must be an absolute path");
  return {
    runId: request.runId,
    modelFolder: request.modelFolder,
    engineDigests: { ...request.engineDigests },
    work,
    inputs: Object.fromEntries(request.inputs.map((input) => [input.name, sourceFromProto(input)])),
    outputFolder: request.outputFolder,
    checkpoints: paceFromProto(request.checkpoints),
    mayWait: request.mayWait,
  };
}

function paceFromProto(settings: wire.CheckpointSettings | undefined): CheckpointPace {
  if (settings === undefined) return { everySteps: 0, everyMs: 0, mostShare: 0 };
  const pace = { everySteps: settings.everySteps, everyMs: Number(settings.everyMs), mostShare: settings.mostShare };
  if (Object.values(pace).every((value) => Number.isFinite(value) && value >= 0)) return pace;
  throw invalid("how often checkpoints are written must not be negative");
}

function sourceFromProto({ name, source }: wire.StageInput): StageInputSource {
  if (source === undefined) throw invalid(`input ${name} has neither path nor bytes`);
  if (source.$case === "inline") return { kind: "inline", bytes: source.value };
  if (!isAbsolute(source.value)) throw invalid(`input ${name} must be an absolute path`);
  return { kind: "path", path: source.value };
}

function workFromProto(kind: wire.StageParameters["kind"]): StageWork {
  switch (kind?.$case) {
    case undefined:
      throw invalid("parameters are missing");
    case "prepare":
      return prepareFromProto(kind.value);
    case "textEncode":
      return { stage: "text_encode", prompt: kind.value.prompt };
    case "vaeEncode":
      return { stage: "vae_encode", firstFrameOnly: kind.value.firstFrameOnly };
    case "clipEncode":
      return { stage: "clip_encode" };
    case "denoise":
      return denoiseFromProto(kind.value);
    case "vaeDecode":
      return { stage: "vae_decode", outputs: kind.value.outputs.map(decodedOutput) };
    case "panels":
      return panelsFromProto(kind.value);
    case "score":
      return scoreFromProto(kind.value);
    case "warm":
      return warmFromProto(kind.value);
  }
}

function warmFromProto({ engine }: wire.WarmParameters): WarmWork {
  if (isEngineName(engine) || isMetricEngine(engine)) return { stage: "warm", engine };
  throw invalid(`"${engine.slice(0, 80)}" is no engine that this runtime knows`);
}

function panelsFromProto({ frameSelection, fps }: wire.PanelsParameters): PanelsWork {
  if (fps < 1) throw invalid(`${fps} frames a second cannot be written`);
  return { stage: "panels", selection: selectionFromProto(frameSelection), fps };
}

function scoreFromProto({ metric, prompt }: wire.ScoreParameters): ScoreWork {
  if (!isMetricName(metric)) throw invalid(`"${metric.slice(0, 80)}" is no metric that this runtime knows`);
  return { stage: scoreStage(metric), metric, prompt };
}

function prepareFromProto(parameters: wire.PrepareParameters): PrepareWork {
  const { frames, height, width, frameSelection } = parameters;
  if (frames < 1 || height < 1 || width < 1) throw invalid(`${frames} frames of ${width}x${height} cannot be prepared`);
  return { stage: "prepare", frames, resize: resizeFromProto(parameters), selection: selectionFromProto(frameSelection) };
}

function resizeFromProto({ resize, height, width, shortestEdge }: wire.PrepareParameters): FrameResize {
  if (resize === wire.ResizeKind.RESIZE_KIND_UNSPECIFIED || resize === wire.ResizeKind.RESIZE_KIND_STRETCH_LANCZOS) {
    return { kind: "stretch", height, width };
  }
  if (resize !== wire.ResizeKind.RESIZE_KIND_COVER_BICUBIC) throw invalid("resize is of a kind that this runtime does not know");
  if (shortestEdge < Math.max(height, width)) throw invalid(`${width}x${height} cannot be cut out of a shortest edge of ${shortestEdge}`);
  return { kind: "cover", height, width, shortestEdge };
}

function selectionFromProto(selection: wire.FrameSelection): FrameSelection {
  if (selection === wire.FrameSelection.FRAME_SELECTION_EVENLY) return "evenly";
  if (selection === wire.FrameSelection.FRAME_SELECTION_FIRST) return "first";
  throw invalid("frame_selection is not set");
}

function denoiseFromProto(parameters: wire.DenoiseParameters): DenoiseWork {
  const { seed, steps, guidanceScale, dynamicGuidance, references } = parameters;
  if (references < 1) throw invalid("denoise needs at least one reference");
  return { stage: "denoise", seed, steps, guidanceScale, dynamicGuidance, references, scheduler: schedulerFromProto(parameters.scheduler) };
}

const schedulers: ReadonlyMap<wire.SchedulerKind, SchedulerKind | undefined> = new Map([
  [wire.SchedulerKind.SCHEDULER_KIND_UNSPECIFIED, undefined],
  [wire.SchedulerKind.SCHEDULER_KIND_DDIM, "ddim"],
  [wire.SchedulerKind.SCHEDULER_KIND_DPM, "dpm"],
  [wire.SchedulerKind.SCHEDULER_KIND_UNIPC, "unipc"],
  [wire.SchedulerKind.SCHEDULER_KIND_EULER, "euler"],
]);

function schedulerFromProto(scheduler: wire.SchedulerKind): SchedulerKind | undefined {
  if (!schedulers.has(scheduler)) throw invalid("scheduler is of a kind that this runtime does not know");
  return schedulers.get(scheduler);
}

function decodedOutput(output: wire.OutputKind): DecodedOutput {
  if (output === wire.OutputKind.OUTPUT_KIND_MP4) return "mp4";
  if (output === wire.OutputKind.OUTPUT_KIND_FRAMES) return "frames";
  throw invalid("vae_decode gives mp4 and frames only");
}

function invalid(message: string): FarmError {
  return new FarmError("STAGE_INPUT_INVALID", { message });
}
