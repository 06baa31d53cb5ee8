/**
 * What a stage may touch: its inputs, engines, media, and a way to say how far it is.
 *
 * Stages are functions of (context, work) → outputs in memory; they hold no state and know nothing of jobs.
 */
import type { EngineName } from "../../../domain/stage.ts";
import type { Tensor } from "../../../domain/tensors/tensor.ts";
import type { MetricEngine } from "../../../domain/vbench/metric.ts";
import type { Clip, ColourStream } from "../../../platform/media/clip-reader.ts";
import type { MediaReader } from "../../../platform/media/media-reader.ts";
import type { ModelManifest } from "../../../platform/models/manifest.ts";
import type { CheckpointFiles } from "../thread/checkpoint-files.ts";
import type { EngineSession } from "../engines/onnx-session.ts";
import type { StageProgress, StageScore, StageWarning } from "../stage-run.ts";
import type { ClipPromptTokenizer } from "../clip-tokenizer.ts";
import type { PromptTokenizer } from "../tokenizer.ts";

export type StageContext = {
  /** Aborts when the run is cancelled. */
  readonly signal: AbortSignal;
  /** Lets messages from the server in; throws STAGE_CANCELLED when the run was cancelled. */
  hear(): Promise<void>;
  /** The run was asked to stop at its next step; heard of only in `hear`. */
  isStopAsked(): boolean;
  readonly checkpoints: CheckpointFiles;
  model(): Promise<ModelManifest>;
  /** An open session of the engine; its digest must be the one that the task was keyed with. */
  engine(name: EngineName | MetricEngine): Promise<EngineSession>;
  /** Digests that the task was keyed with, by engine name. */
  readonly engineDigests: Readonly<Record<string, string>>;
  /** Bytes of the file that one of the engine's constants names; covered by its digest. */
  engineFile(name: MetricEngine, constant: string): Promise<Uint8Array>;
  /** The tokenizer of a text network of CLIP's kind. */
  clipTokenizer(name: MetricEngine): Promise<ClipPromptTokenizer>;
  /** Every frame of a file input, and what decoded it; `decodeMs` is 0 where another run had decoded it. */
  clip(name: string, stream: ColourStream): Promise<{ readonly clip: Clip; readonly decoder: string; readonly decodeMs: number }>;
  tokenizer(): Promise<PromptTokenizer>;
  media(): Promise<MediaReader>;
  ffmpegPath(): Promise<string>;
  /** Absolute path of a file input. */
  inputPath(name: string): Promise<string>;
  /** Tensors of a safetensors input, by their names in the file. */
  inputTensors(name: string): Promise<ReadonlyMap<string, Tensor>>;
  progress(progress: StageProgress): void;
  warn(warning: StageWarning): void;
  /** What is committed with the run. */
  tellScore(score: StageScore): void;
};
