/**
 * The main thread's side of the inference thread: one slot.
 *
 * Invariants: at most one run is in the thread; a run that was cancelled holds the slot until the thread has really let go of it, and the
 * next run waits for that; a run that comes while another is wanted is refused. When the thread dies the process is of no more use.
 */
import { Worker } from "node:worker_threads";
import { FarmError, toFarmError } from "../../../domain/errors.ts";
import type { Component } from "../../../platform/lifecycle.ts";
import type { InferenceConfig } from "../config.ts";
import type { StageCheckpoint, StageProgress, StageResult, StageRun } from "../stage-run.ts";
import { errorOf, type FromThread, type ToThread } from "./messages.ts";

export type ClientRunOptions = {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: StageProgress) => void;
  readonly onCheckpoint: (checkpoint: StageCheckpoint) => void;
  /** The run has the slot; nothing of it was done yet. */
  readonly onBegun?: () => void;
};

export type InferenceClient = Component & {
  run(run: StageRun, options: ClientRunOptions): Promise<StageResult>;
  /** Ends the run at its next step, after a last checkpoint if it writes any; one that does not hold the slot is left alone. */
  stopRun(runId: string): void;
  residentDigests(): readonly string[];
  /** Id of the run that holds the slot, a cancelled one that has not let go included. */
  runningRunId(): string | undefined;
};

type ActiveRun = {
  readonly runId: string;
  readonly settled: PromiseWithResolvers<StageResult>;
  readonly options: ClientRunOptions;
  /** Told to end: the next run waits for it. */
  isCancelled: boolean;
};

/** Builds the client; the thread starts with `start`, which fails with PROVIDER_UNAVAILABLE where a provider is refused. */
export function createInferenceClient(config: InferenceConfig, onDeath: (error: FarmError) => void): InferenceClient {
  return new ThreadClient(config, onDeath);
}

class ThreadClient implements InferenceClient {
  readonly #config: InferenceConfig;
  readonly #onDeath: (error: FarmError) => void;
  #thread: Worker | undefined;
  #ready = Promise.withResolvers<undefined>();
  #active: ActiveRun | undefined;
  #resident: readonly string[] = [];

  constructor(config: InferenceConfig, onDeath: (error: FarmError) => void) {
    this.#config = config;
    this.#onDeath = onDeath;
  }

  async start(): Promise<void> {
    const thread = new Worker(new URL("./inference-thread.ts", import.meta.url), { workerData: this.#config });
    this.#thread = thread;
    this.#ready = Promise.withResolvers();
    thread.on("message", (message: FromThread) => this.#receive(message));
    thread.on("error", (error) => this.#died(thread, toFarmError(error, "RUNTIME_DIED")));
    thread.on("exit", () => this.#died(thread, new FarmError("RUNTIME_DIED", { message: "the inference thread ended" })));
    await this.#ready.promise;
  }

  async stop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }

  async run(run: StageRun, options: ClientRunOptions): Promise<StageResult> {
    const earlier = this.#active;
    if (earlier?.isCancelled === true) await earlier.settled.promise.catch(() => undefined);
    if (this.#active !== undefined) throw new FarmError("RUNTIME_BUSY");
    if (options.signal.aborted) throw new FarmError("STAGE_CANCELLED");
    const active: ActiveRun = { runId: run.runId, settled: Promise.withResolvers(), options, isCancelled: false };
    this.#active = active;
    const cancel = (): void => {
      active.isCancelled = true;
      this.#send({ kind: "cancel" });
    };
    options.signal.addEventListener("abort", cancel, { once: true });
    options.onBegun?.();
    this.#send({ kind: "run", run });
    try {
      return await active.settled.promise;
    } finally {
      options.signal.removeEventListener("abort", cancel);
    }
  }

  stopRun(runId: string): void {
    const active = this.#active;
    if (active?.runId !== runId || active.isCancelled) return;
    active.isCancelled = true;
    this.#send({ kind: "stop" });
  }

  residentDigests(): readonly string[] {
    return this.#resident;
  }

  runningRunId(): string | undefined {
    return this.#active?.runId;
  }

  #send(message: ToThread): void {
    if (this.#thread === undefined) throw new FarmError("RUNTIME_DIED", { message: "the inference thread does not run" });
    this.#thread.postMessage(message);
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case "ready":
        this.#ready.resolve(undefined);
        return;
      case "refused":
        this.#ready.reject(errorOf(message.failure));
        return;
      case "progress":
        this.#active?.options.onProgress(message.progress);
        return;
      case "checkpoint":
        this.#active?.options.onCheckpoint(message.checkpoint);
        return;
      case "done":
        this.#resident = message.result.residentDigests;
        this.#settle()?.resolve(message.result);
        return;
      case "failed":
        this.#settle()?.reject(errorOf(message.failure));
    }
  }

  #settle(): PromiseWithResolvers<StageResult> | undefined {
    const active = this.#active;
    this.#active = undefined;
    return active?.settled;
  }

  #died(thread: Worker, error: FarmError): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    this.#ready.reject(error);
    this.#settle()?.reject(error);
    this.#onDeath(error);
  }
}
