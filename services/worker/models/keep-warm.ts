/**
 * A runtime that is ready only with the preloaded engines in it: after each start of the runtime's process they are loaded again.
 *
 * Work that was claimed before goes straight to the new process, between one load and the next; nothing new is claimed until all are loaded. A
 * process that dies of loading is another's turn, a few times, and one that is busy with such work is waited for; any other failure is the
 * worker's end, as at its start.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";
import type { Logger } from "../../platform/logging.ts";
import type { SupervisedRuntime } from "../session/agent-ports.ts";

export type WarmRuntime = SupervisedRuntime & {
  /** Loads for the first time; fails with the reason. */
  start(): Promise<void>;
};

export type WarmOptions = {
  readonly runtime: SupervisedRuntime;
  /** Loads and runs the engines; `isFirst`: at the worker's start, when nothing else runs. */
  readonly load: (isFirst: boolean) => Promise<void>;
  /** Nothing is loaded any more, nor is a failure one. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
  /** The engines could not be loaded again. */
  readonly onFailed: (error: FarmError) => void;
  /** Between two looks at a runtime that is busy. */
  readonly busyMs?: number;
};

/** Processes that may die of it, one after the other. */
const mostTries = 3;
const busyMs = 500;

/** Not ready before it has started. */
export function keepWarm(options: WarmOptions): WarmRuntime {
  const warm = new Warm(options);
  const { runtime } = options;
  return {
    start: () => warm.start(),
    isReady: () => warm.isReady(),
    onChange: (listener) => warm.onChange(listener),
    run: (request, run) => runtime.run(request, run),
    kill: (reason) => runtime.kill(reason),
    restarts: () => runtime.restarts(),
  };
}

class Warm {
  private readonly options: WarmOptions;
  private readonly listeners = new Set<() => void>();
  /** The process that has them, by how many were started before it. */
  private loadedIn: number | undefined;
  private isLoading = false;
  private deaths = 0;

  constructor(options: WarmOptions) {
    this.options = options;
  }

  async start(): Promise<void> {
    const { runtime, load } = this.options;
    const process = runtime.restarts();
    await load(true);
    this.loadedIn = process;
    runtime.onChange(() => this.look());
    this.look();
  }

  isReady(): boolean {
    const { runtime } = this.options;
    return runtime.isReady() && this.loadedIn === runtime.restarts();
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private look(): void {
    const { runtime, stopping } = this.options;
    for (const listener of this.listeners) listener();
    const isCold = runtime.isReady() && this.loadedIn !== runtime.restarts();
    if (isCold && !this.isLoading && !stopping.aborted) void this.loadAgain();
  }

  private async loadAgain(): Promise<void> {
    const { runtime, load, logger } = this.options;
    this.isLoading = true;
    const process = runtime.restarts();
    try {
      await load(false);
      this.loadedIn = process;
      this.deaths = 0;
      logger.info({ restarts: process }, "the new stage runtime has its engines");
    } catch (thrown) {
      if (!(await this.mayTryAgain(toFarmError(thrown)))) return;
    } finally {
      this.isLoading = false;
    }
    this.look();
  }

  private async mayTryAgain(error: FarmError): Promise<boolean> {
    const { stopping, logger, onFailed } = this.options;
    if (stopping.aborted) return false;
    const cause = error.cause instanceof FarmError ? error.cause.code : error.code;
    // What was claimed before has it.
    if (cause === "RUNTIME_BUSY") {
      await pause(this.options.busyMs ?? busyMs, stopping);
      return !stopping.aborted;
    }
    // None came up: its supervisor goes on trying.
    if (cause === "RUNTIME_START_FAILED") return true;
    if (cause === "RUNTIME_DIED") this.deaths += 1;
    if (cause === "RUNTIME_DIED" && this.deaths < mostTries) {
      logger.warn({ err: error, deaths: this.deaths }, "the stage runtime died while its engines were loaded");
      return true;
    }
    onFailed(error);
    return false;
  }
}
