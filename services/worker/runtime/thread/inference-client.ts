/**
 * The main thread's side of the inference thread: one slot, and one place to wait for it.
 *
 * Invariants: runs go to the thread in the order in which they came; a run that was cancelled holds the slot until the thread has really let
 * go of it, and the next run waits for that; a run that comes while another is wanted is refused, unless it may wait and nobody else does.
 * A run lets go of the slot when it has computed; its outputs are written here, beside the next one. When the thread dies the process is of
 * no more use.
 */
import { Worker } from "node:worker_threads";
import { FarmError, toFarmError } from "../../../domain/errors.ts";
import type { Component } from "../../../platform/lifecycle.ts";
import type { TraceContext } from "../../../platform/tracing/trace-context.ts";
import type { InferenceConfig } from "../config.ts";
import { finishRun } from "../finish.ts";
import type { ComputedStage, StageCheckpoint, StageProgress, StageResult, StageRun } from "../stage-run.ts";
import { errorOf, type FromThread, type OfRun, type ToThread, wholeBuffers } from "./messages.ts";
import { withInputs } from "./read-ahead.ts";

export type ClientRunOptions = {
  readonly signal: AbortSignal;
  /** What the run's spans hang below. */
  readonly trace?: TraceContext | undefined;
  /** The run has the slot; how long that stood empty, undefined for the first run. */
  readonly onStarted: (idleMs: number | undefined) => void;
  readonly onProgress: (progress: StageProgress) => void;
  readonly onCheckpoint: (checkpoint: StageCheckpoint) => void;
  /** The slot is let go; the outputs are still to be written. */
  readonly onComputed: () => void;
};

export type InferenceClient = Component & {
  run(run: StageRun, options: ClientRunOptions): Promise<StageResult>;
  /** Ends the run at its next step, after a last checkpoint if it writes any; one that does not hold the slot is left alone. */
  stopRun(runId: string): void;
  residentDigests(): readonly string[];
  /** Id of the run that holds the slot, a cancelled one that has not let go included. */
  runningRunId(): string | undefined;
};

type OpenRun = {
  readonly number: number;
  readonly runId: string;
  readonly computed: PromiseWithResolvers<ComputedStage>;
  readonly options: ClientRunOptions;
  /** Told to end: the next run waits for it. */
  isCancelled: boolean;
};

/** The same client, but for how it runs a stage. */
export function withRun(client: InferenceClient, run: InferenceClient["run"]): InferenceClient {
  return {
    start: () => client.start(),
    stop: () => client.stop(),
    stopRun: (runId) => client.stopRun(runId),
    residentDigests: () => client.residentDigests(),
    runningRunId: () => client.runningRunId(),
    run,
  };
}

/** Builds the client; the thread starts with `start`, which fails with PROVIDER_UNAVAILABLE where a provider is refused. */
export function createInferenceClient(config: InferenceConfig, onDeath: (error: FarmError) => void): InferenceClient {
  return new ThreadClient(config, onDeath);
}

class ThreadClient implements InferenceClient {
  readonly #config: InferenceConfig;
  readonly #onDeath: (error: FarmError) => void;
  /** Runs that have not let go of the slot, the one that holds it first. */
  readonly #open = new Map<number, OpenRun>();
  #thread: Worker | undefined;
  #ready = Promise.withResolvers<undefined>();
  #resident: readonly string[] = [];
  #runs = 0;
  #lastSent: Promise<void> = Promise.resolve();

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
    const wanted = [...this.#open.values()].filter(({ isCancelled }) => !isCancelled);
    if (wanted.length > (run.mayWait ? 1 : 0)) throw new FarmError("RUNTIME_BUSY");
    if (options.signal.aborted) throw new FarmError("STAGE_CANCELLED");
    const { made, ...computed } = await this.#compute(run, options);
    options.onComputed();
    return { ...computed, outputs: await finishRun(run, made, options) };
  }

  stopRun(runId: string): void {
    const running = this.#running();
    if (running?.runId !== runId || running.isCancelled) return;
    running.isCancelled = true;
    this.#send({ kind: "stop", number: running.number });
  }

  residentDigests(): readonly string[] {
    return this.#resident;
  }

  runningRunId(): string | undefined {
    return this.#running()?.runId;
  }

  #running(): OpenRun | undefined {
    return this.#open.values().next().value;
  }

  async #compute(run: StageRun, options: ClientRunOptions): Promise<ComputedStage> {
    this.#runs += 1;
    const open: OpenRun = {
      number: this.#runs,
      runId: run.runId,
      computed: Promise.withResolvers(),
      options,
      isCancelled: false,
    };
    this.#open.set(open.number, open);
    const cancel = (): void => {
      open.isCancelled = true;
      this.#send({ kind: "cancel", number: open.number });
    };
    options.signal.addEventListener("abort", cancel, { once: true });
    try {
      this.#sendRun(open, run);
      return await open.computed.promise;
    } finally {
      options.signal.removeEventListener("abort", cancel);
    }
  }

  /** In order, however long the inputs of each take to read. One that was cancelled meanwhile never gets there. */
  #sendRun(open: OpenRun, run: StageRun): void {
    const before = this.#lastSent;
    const send = async (): Promise<void> => {
      const ready = await withInputs(run);
      await before;
      if (open.isCancelled) this.#settle(open.number)?.computed.reject(new FarmError("STAGE_CANCELLED"));
      else this.#send({ kind: "run", number: open.number, run: ready.run }, wholeBuffers(ready.read));
    };
    this.#lastSent = send().catch((thrown: unknown) => this.#settle(open.number)?.computed.reject(toFarmError(thrown)));
  }

  #send(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#thread === undefined) throw new FarmError("RUNTIME_DIED", { message: "the inference thread does not run" });
    this.#thread.postMessage(message, transfer);
  }

  #receive(message: FromThread): void {
    if (message.kind === "ready") this.#ready.resolve(undefined);
    else if (message.kind === "refused") this.#ready.reject(errorOf(message.failure));
    else this.#hear(message);
  }

  #hear(message: OfRun): void {
    const options = this.#open.get(message.number)?.options;
    switch (message.kind) {
      case "started":
        options?.onStarted(message.idleMs);
        return;
      case "progress":
        options?.onProgress(message.progress);
        return;
      case "checkpoint":
        options?.onCheckpoint(message.checkpoint);
        return;
      case "computed":
        this.#resident = message.stage.residentDigests;
        this.#settle(message.number)?.computed.resolve(message.stage);
        return;
      case "failed":
        this.#settle(message.number)?.computed.reject(errorOf(message.failure));
    }
  }

  #settle(number: number): OpenRun | undefined {
    const open = this.#open.get(number);
    this.#open.delete(number);
    return open;
  }

  #died(thread: Worker, error: FarmError): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    this.#ready.reject(error);
    for (const number of [...this.#open.keys()]) this.#settle(number)?.computed.reject(error);
    this.#onDeath(error);
  }
}
