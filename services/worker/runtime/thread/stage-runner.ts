/**
 * Runs stages one after the other on the inference thread, and keeps what is worth keeping between them: sessions and tokenizers.
 *
 * Owns the accounting of a run: loading, computing, and the time that the device was busy.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { FarmError } from "../../../domain/errors.ts";
import { variantNames } from "../../../domain/variants/registry.ts";
import { createMediaReader } from "../../../platform/media/media-reader.ts";
import type { EngineName } from "../../../domain/stage.ts";
import { engineOf, type ModelManifest } from "../../../platform/models/manifest.ts";
import { openModel } from "../../../platform/models/repository.ts";
import { findFfmpeg } from "../../../platform/programs/ffmpeg.ts";
import type { InferenceConfig } from "../config.ts";
import type { EngineSession } from "../engines/onnx-session.ts";
import { inOrder } from "../engines/providers-ran.ts";
import { createSessionCache, type SessionCache } from "../engines/session-cache.ts";
import type { ComputedStage, StageCheckpoint, StageProgress, StageRun, StageWarning } from "../stage-run.ts";
import { runWork } from "../stages/run-work.ts";
import type { StageContext } from "../stages/stage-context.ts";
import { openTokenizer, type PromptTokenizer } from "../tokenizer.ts";
import { checkpointFiles } from "./checkpoint-files.ts";
import { stageFiles } from "./stage-files.ts";

export type RunOptions = {
  readonly signal: AbortSignal;
  /** Whether the run should end at its next step, with a checkpoint. */
  readonly isStopAsked: () => boolean;
  readonly onProgress: (progress: StageProgress) => void;
  readonly onCheckpoint: (checkpoint: StageCheckpoint) => void;
};

/** A vocabulary of 256,000 pieces takes about a second to open and a tenth of a gigabyte: as many are kept as there are variants. */
const keptTokenizers = variantNames.length;

/** Milliseconds of one run and the providers that ran, filled as it goes. */
type Meter = { loadMs: number; deviceMs: number; checkpointMs: number; readonly providers: Set<string> };

export class StageRunner {
  readonly #config: InferenceConfig;
  readonly #sessions: SessionCache;
  /** By the text engine's digest, the one used last at the end. */
  readonly #tokenizers = new Map<string, PromptTokenizer>();
  #ffmpeg: Promise<string> | undefined;

  constructor(config: InferenceConfig) {
    this.#config = config;
    this.#sessions = createSessionCache(config);
  }

  /** Runs one stage until its outputs are there, in memory; failures are FarmErrors. */
  async run(run: StageRun, options: RunOptions): Promise<ComputedStage> {
    const startedMs = performance.now();
    const meter: Meter = { loadMs: 0, deviceMs: 0, checkpointMs: 0, providers: new Set() };
    const warnings: StageWarning[] = [];
    const context = this.#context(run, { ...options, meter, warnings });
    const made = await runWork(context, run.work);
    return {
      made,
      warnings,
      loadMs: meter.loadMs,
      computeMs: performance.now() - startedMs - meter.loadMs,
      deviceMs: meter.deviceMs,
      checkpointMs: meter.checkpointMs,
      providers: inOrder(meter.providers, this.#config.providers),
      residentDigests: this.#sessions.residentDigests(),
    };
  }

  #context(run: StageRun, options: RunOptions & { readonly meter: Meter; readonly warnings: StageWarning[] }): StageContext {
    const { signal, isStopAsked, onProgress, onCheckpoint, meter, warnings } = options;
    const files = stageFiles(run);
    let model: Promise<ModelManifest> | undefined;
    const openOnce = (): Promise<ModelManifest> => (model ??= openModel(run.modelFolder));
    return {
      ...files,
      signal,
      isStopAsked,
      checkpoints: checkpointFiles(run, { files, onCheckpoint, meter }),
      model: openOnce,
      engine: async (name) => this.#engine(await openOnce(), name, { run, meter, onProgress }),
      tokenizer: async () => this.#openTokenizer(await openOnce(), meter),
      media: async () => createMediaReader({ ffmpegPath: await this.#ffmpegPath(), limits: this.#config.mediaLimits }),
      ffmpegPath: () => this.#ffmpegPath(),
      progress: onProgress,
      warn: (warning) => void warnings.push(warning),
      async hear() {
        await nextTurn();
        if (signal.aborted) throw new FarmError("STAGE_CANCELLED");
      },
    };
  }

  async #engine(model: ModelManifest, name: EngineName, options: EngineOptions): Promise<EngineSession> {
    const engine = engineOf(model, name);
    const expected = options.run.engineDigests[name];
    if (engine.digest !== expected) {
      const message = `engine ${name} of ${model.folder} has digest ${engine.digest}, the task expects ${expected ?? "none"}`;
      throw new FarmError("ENGINE_DIGEST_MISMATCH", { message });
    }
    const startedMs = performance.now();
    const session = await this.#sessions.open(model, engine, () => options.onProgress({ phase: "load", step: 0, steps: 1, stepMs: 0 }));
    const tookMs = performance.now() - startedMs;
    options.meter.loadMs += tookMs;
    options.meter.deviceMs += tookMs;
    return metered(session, options.meter);
  }

  async #openTokenizer(model: ModelManifest, meter: Meter): Promise<PromptTokenizer> {
    const engine = engineOf(model, "text_encode");
    const startedMs = performance.now();
    const tokenizer = this.#tokenizers.get(engine.digest) ?? (await openTokenizer(model, engine));
    this.#tokenizers.delete(engine.digest);
    this.#tokenizers.set(engine.digest, tokenizer);
    const [oldest = ""] = this.#tokenizers.keys();
    if (this.#tokenizers.size > keptTokenizers) this.#tokenizers.delete(oldest);
    meter.loadMs += performance.now() - startedMs;
    return tokenizer;
  }

  /** Looked for when first needed; a failed search is made again. */
  async #ffmpegPath(): Promise<string> {
    const { ffmpegPath: configured, cacheFolder, searchPath } = this.#config;
    this.#ffmpeg ??= findFfmpeg({ configured, cacheFolder, searchPath }).then(({ path }) => path);
    try {
      return await this.#ffmpeg;
    } catch (thrown) {
      this.#ffmpeg = undefined;
      throw thrown;
    }
  }
}

type EngineOptions = { readonly run: StageRun; readonly meter: Meter; readonly onProgress: RunOptions["onProgress"] };

function metered(session: EngineSession, meter: Meter): EngineSession {
  return {
    ...session,
    async run(feeds) {
      const startedMs = performance.now();
      try {
        return await session.run(feeds);
      } finally {
        meter.deviceMs += performance.now() - startedMs;
        for (const name of session.ranOn()) meter.providers.add(name);
      }
    },
  };
}
