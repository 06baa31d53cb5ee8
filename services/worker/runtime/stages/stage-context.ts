/**
 * What a stage may touch: its inputs, engines, media, and a way to say how far it is.
 *
 * Stages are functions of (context, work) → outputs in memory; they hold no state and know nothing of jobs.
 */
import type { EngineName } from "../../../domain/stage.ts";
import type { Tensor } from "../../../domain/tensors/tensor.ts";
import type { MediaReader } from "../../../platform/media/media-reader.ts";
import type { ModelManifest } from "../../../platform/models/manifest.ts";
import type { CheckpointFiles } from "../thread/checkpoint-files.ts";
import type { EngineSession } from "../engines/onnx-session.ts";
import type { StageProgress, StageWarning } from "../stage-run.ts";
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
  engine(name: EngineName): Promise<EngineSession>;
  tokenizer(): Promise<PromptTokenizer>;
  media(): Promise<MediaReader>;
  ffmpegPath(): Promise<string>;
  /** Absolute path of a file input. */
  inputPath(name: string): Promise<string>;
  /** Tensors of a safetensors input, by their names in the file. */
  inputTensors(name: string): Promise<ReadonlyMap<string, Tensor>>;
  progress(progress: StageProgress): void;
  warn(warning: StageWarning): void;
};
