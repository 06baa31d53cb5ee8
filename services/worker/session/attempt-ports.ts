/**
 * What an attempt needs of the rest of the agent; each port is implemented by a folder of its own, and faked in tests.
 */
import type { FarmError } from "../../domain/errors.ts";
import type { CheckpointPace } from "../../domain/vap/checkpoint-pace.ts";
import type { ClaimInput, KeptCheckpoint, ProducedArtifact } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type {
  RunStageRequest,
  StageCheckpoint,
  StageInput,
  StageOutput,
  StageProgress,
  StageResult,
} from "../../gen/proto/vapfarm/v1/stage.ts";
import type { TraceContext } from "../../platform/tracing/trace-context.ts";
import type { SpanOf } from "./attempt-spans.ts";
import type { StopReason } from "./attempt-words.ts";
import type { Clock } from "./clock.ts";
import type { WorkerCrash } from "./crash-points.ts";
import type { StallLimits } from "./hang.ts";

export type RunOptions = {
  /** Aborting cancels the run at its next step. */
  readonly signal: AbortSignal;
  /** Aborting asks the run to end at its next step with a last checkpoint; it rejects with STAGE_CANCELLED when it has. */
  readonly leave: AbortSignal;
  /** The device is the run's; how long it stood idle before, in ms, undefined for a runtime's first run. */
  readonly onStarted: (idleMs: number | undefined) => void;
  readonly onProgress: (progress: StageProgress) => void;
  /** Its file is the caller's from then on. */
  readonly onCheckpoint: (checkpoint: StageCheckpoint) => void;
  /** What the runtime's spans hang below. */
  readonly trace?: TraceContext | undefined;
  /** The device is free; the outputs are still being written. */
  readonly onComputed: () => void;
  /** After an abort, how long the runtime may take to come free before it is killed. */
  readonly cancelGraceMs: () => number;
};

/** The stage runtime, whichever process it is at the moment. */
export type RuntimePort = {
  /**
   * Runs one stage; while another computes it waits for that, and starts without being told. Rejects with the runtime's FarmError, RUNTIME_DIED when the process ended, STAGE_CANCELLED after an abort. An
   * abort rejects at once; the next run waits until the cancelled one has let go.
   */
  run(request: RunStageRequest, options: RunOptions): Promise<StageResult>;
  /** Kills the process; the run of the moment rejects with RUNTIME_DIED, another process is started. */
  kill(reason: string): void;
};

/** A produced file, hashed. */
export type ProducedFile = { readonly artifact: ProducedArtifact; readonly path: string };

/** One attempt's own folder. */
export type Workspace = {
  /** Empty at first. */
  readonly outputFolder: string;
  /** Brings the inputs here, hash-checked; a FarmError with `details.badInputs` names those that are missing or corrupt. */
  fetch(inputs: readonly ClaimInput[], signal: AbortSignal): Promise<StageInput[]>;
  hash(outputs: readonly StageOutput[], signal: AbortSignal): Promise<readonly ProducedFile[]>;
  /** Asks a store that is away again, until the signal ends it. */
  put(files: readonly ProducedFile[], signal: AbortSignal): Promise<void>;
  /** Tries once. */
  putOnce(file: ProducedFile, signal: AbortSignal): Promise<void>;
  /** Removes a file of the output folder; never rejects. */
  discard(path: string): Promise<void>;
  /** Removes the folder; never rejects. */
  close(): Promise<void>;
};

export type TransferPort = { open(): Promise<Workspace> };

type AttemptLimits = StallLimits & {
  readonly fetchMs: number;
  readonly uploadMs: number;
  /** How long a reservation that is ready waits for its slot before it is given back. */
  readonly reservedMs: number;
  /** How long the report of an attempt that ended early waits for its last checkpoint. */
  readonly lastCheckpointMs: number;
  readonly cancelGraceMs: number;
};

/** What became of a checkpoint. */
export type CheckpointEvent =
  | { readonly kind: "written"; readonly tookMs: number }
  | { readonly kind: "kept"; readonly step: number }
  | { readonly kind: "superseded"; readonly step: number }
  | { readonly kind: "failed"; readonly step: number; readonly error: FarmError };

export type AttemptPorts = {
  readonly clock: Clock;
  readonly runtime: RuntimePort;
  readonly transfer: TransferPort;
  /** Absolute folder of a model that this worker holds; throws MODEL_INVALID otherwise. */
  readonly modelFolder: (model: string) => string;
  /** Resolves once a beat that named the artifacts was answered: their rows are pending then. */
  readonly announce: (attemptId: string, artifacts: readonly ProducedArtifact[], signal: AbortSignal) => Promise<void>;
  /** Resolves once a beat that named the checkpoint was answered; each beat names it until then. */
  readonly tell: (attemptId: string, checkpoint: KeptCheckpoint, signal: AbortSignal) => Promise<void>;
  /** How often runs write checkpoints. */
  readonly checkpoints: CheckpointPace;
  /** Called with each change of phase or step. */
  readonly onChange: () => void;
  /** Called with each word of the runtime about how the run goes. */
  readonly onProgress: (progress: StageProgress) => void;
  readonly onFetched: (tookMs: number) => void;
  /** It computes from now; how long the device stood idle before, if that is known. */
  readonly onBegan: (idleMs: number | undefined) => void;
  readonly onCheckpoint: (event: CheckpointEvent) => void;
  /** Called when it is first told to stop while it has the device, or is about to. */
  readonly onStop: (reason: StopReason) => void;
  readonly limits: AttemptLimits;
  /** Begins a span of the attempt. */
  readonly span: SpanOf;
  readonly crash: WorkerCrash;
};
