/**
 * Runs stages one after the other on the inference thread, and keeps what is worth keeping between them: sessions and tokenizers.
 *
 * Owns the accounting of a run: loading, computing, and the time that the device was busy.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { FarmError } from "../../../domain/errors.ts";
import { createMediaReader } from "../../../platform/media/media-reader.ts";
import { type Ffmpeg, findFfmpeg } from "../../../platform/programs/ffmpeg.ts";
import type { InferenceConfig } from "../config.ts";
import { inOrder } from "../engines/providers-ran.ts";
import { createSessionCache, type SessionCache } from "../engines/session-cache.ts";
import type { ComputedStage, StageCheckpoint, StageProgress, StageRun, StageScore, StageWarning } from "../stage-run.ts";
import { runWork } from "../stages/run-work.ts";
import type { StageContext } from "../stages/stage-context.ts";
import { checkpointFiles } from "./checkpoint-files.ts";
import { type ClipCache, createClipCache } from "./clip-cache.ts";
import { enginesOfRun, keepEngines, type KeptEngines, type Meter } from "./run-engines.ts";
import { type StageFiles, stageFiles } from "./stage-files.ts";

export type RunOptions = {
  readonly signal: AbortSignal;
  /** Whether the run should end at its next step, with a checkpoint. */
  readonly isStopAsked: () => boolean;
  readonly onProgress: (progress: StageProgress) => void;
  readonly onCheckpoint: (checkpoint: StageCheckpoint) => void;
};

/** What a run tells on its way, beside what it makes. */
type Told = { readonly meter: Meter; readonly warnings: StageWarning[]; score: StageScore | undefined };

export class StageRunner {
  readonly #config: InferenceConfig;
  readonly #sessions: SessionCache;
  readonly #kept: KeptEngines;
  readonly #clips: ClipCache;
  #ffmpeg: Promise<Ffmpeg> | undefined;

  constructor(config: InferenceConfig) {
    this.#config = config;
    this.#sessions = createSessionCache(config);
    this.#kept = keepEngines(this.#sessions);
    this.#clips = createClipCache(config.clipBytes);
  }

  /** Runs one stage until its outputs are there, in memory; failures are FarmErrors. */
  async run(run: StageRun, options: RunOptions): Promise<ComputedStage> {
    const startedMs = performance.now();
    const meter: Meter = { loadMs: 0, deviceMs: 0, checkpointMs: 0, providers: new Set() };
    const told: Told = { meter, warnings: [], score: undefined };
    const made = await runWork(this.#context(run, options, told), run.work);
    return {
      made,
      ...(told.score === undefined ? {} : { score: told.score }),
      warnings: told.warnings,
      loadMs: meter.loadMs,
      computeMs: performance.now() - startedMs - meter.loadMs,
      deviceMs: meter.deviceMs,
      checkpointMs: meter.checkpointMs,
      providers: inOrder(meter.providers, this.#config.providers),
      residentDigests: this.#sessions.residentDigests(),
    };
  }

  #context(run: StageRun, { signal, isStopAsked, onProgress, onCheckpoint }: RunOptions, told: Told): StageContext {
    const { meter } = told;
    const files = stageFiles(run);
    return {
      ...files,
      ...enginesOfRun(run, { kept: this.#kept, meter, onProgress }),
      signal,
      isStopAsked,
      checkpoints: checkpointFiles(run, { files, onCheckpoint, meter }),
      media: async () => createMediaReader({ ffmpegPath: (await this.#findFfmpeg()).path, limits: this.#config.mediaLimits }),
      clip: this.#clipReader(files, { signal, onProgress }),
      ffmpegPath: async () => (await this.#findFfmpeg()).path,
      progress: onProgress,
      warn: (warning) => void told.warnings.push(warning),
      tellScore: (score) => void (told.score = score),
      async hear() {
        await nextTurn();
        if (signal.aborted) throw new FarmError("STAGE_CANCELLED");
      },
    };
  }

  #clipReader(files: StageFiles, { signal, onProgress }: Pick<RunOptions, "signal" | "onProgress">): StageContext["clip"] {
    return async (name, stream) => {
      const { path: ffmpegPath, version } = await this.#findFfmpeg();
      const limits = this.#config.mediaLimits;
      let decodedFrames = 0;
      const onFrame = (frames: number): void => {
        decodedFrames = frames;
        onProgress({ phase: "decode", step: frames, steps: 0, stepMs: 0 });
      };
      const startedMs = performance.now();
      const path = await files.inputPath(name);
      const clip = await this.#clips.read({ path, stream, onFrame, decoder: { ffmpegPath, limits, signal } });
      return { clip, decoder: `ffmpeg-${version}`, decodeMs: decodedFrames === 0 ? 0 : performance.now() - startedMs };
    };
  }

  /** Looked for when first needed; a failed search is made again. */
  async #findFfmpeg(): Promise<Ffmpeg> {
    const { ffmpegPath: configured, cacheFolder, searchPath } = this.#config;
    this.#ffmpeg ??= findFfmpeg({ configured, cacheFolder, searchPath });
    try {
      return await this.#ffmpeg;
    } catch (thrown) {
      this.#ffmpeg = undefined;
      throw thrown;
    }
  }
}
