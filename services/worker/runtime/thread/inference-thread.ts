/**
 * Entry of the inference thread: proves the providers, says it is ready, then runs what it is told, one run after the other.
 *
 * It listens before anything else, so that it lives until it is ended: a thread that ended by itself after a refusal could be seen to be gone before its
 * last message is read, and the reason would be lost.
 *
 * `session.run` blocks this thread for a whole step, so everything that must answer meanwhile lives on the main thread. A run that waits lies
 * here already, inputs and all, so that no message stands between the end of one and the start of the next.
 */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { FarmError, toFarmError } from "../../../domain/errors.ts";
import { hasCheckpoints } from "../../../domain/vap/checkpoint-pace.ts";
import type { InferenceConfig } from "../config.ts";
import { runMarker } from "../../run-marker.ts";
import { requireProviders } from "../engines/onnx-session.ts";
import type { StageRun } from "../stage-run.ts";
import { failureOf, type FromThread, type ToThread, wholeBuffers } from "./messages.ts";
import { type RunOptions, StageRunner } from "./stage-runner.ts";

function answer(message: FromThread, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

/** Before the first word of the run, native libraries' included: those write from this thread. */
function markLog(runId: string): void {
  try {
    // The process's own: a thread's `process.stderr` is no file.
    writeSync(2, runMarker(runId));
  } catch {
    // A log that takes no more ends no run.
  }
}

async function serve(config: InferenceConfig): Promise<void> {
  if (parentPort === null) throw new FarmError("INTERNAL", { message: "this module is the entry of a worker thread" });
  const line = new RunLine(new StageRunner(config));
  parentPort.on("message", (message: ToThread) => {
    switch (message.kind) {
      case "cancel":
        line.find(message.number)?.cancel();
        return;
      case "stop":
        line.find(message.number)?.stop();
        return;
      case "run":
        line.add(message.number, message.run);
    }
  });
  await requireProviders(config);
  answer({ kind: "ready" });
}

/** Runs in the order in which they were told. */
class RunLine {
  readonly #runner: StageRunner;
  readonly #controls = new Map<number, RunControl>();
  #last: Promise<void> = Promise.resolve();
  /** When the run before ended. */
  #idleSinceMs: number | undefined;

  constructor(runner: StageRunner) {
    this.#runner = runner;
  }

  find(number: number): RunControl | undefined {
    return this.#controls.get(number);
  }

  add(number: number, run: StageRun): void {
    const control = new RunControl(number, run);
    this.#controls.set(number, control);
    this.#last = this.#last.then(() => this.#runOne(run, control));
  }

  async #runOne(run: StageRun, control: RunControl): Promise<void> {
    const { number, options } = control;
    try {
      if (options.signal.aborted) throw new FarmError("STAGE_CANCELLED");
      const idleMs = this.#idleSinceMs === undefined ? undefined : performance.now() - this.#idleSinceMs;
      markLog(run.runId);
      answer({ kind: "started", number, idleMs });
      const stage = await this.#runner.run(run, options);
      const views = stage.made.map((made) => (made.kind === "mp4" ? made.frames.data : made.bytes));
      answer({ kind: "computed", number, stage }, wholeBuffers(views));
    } catch (thrown) {
      const error = options.signal.aborted ? new FarmError("STAGE_CANCELLED", { cause: thrown }) : toFarmError(thrown, "STAGE_FAILED");
      answer({ kind: "failed", number, failure: failureOf(error) });
    } finally {
      this.#controls.delete(number);
      this.#idleSinceMs = performance.now();
    }
  }
}

/** What one run is told from outside. */
class RunControl {
  readonly number: number;
  readonly #cancelled = new AbortController();
  readonly #writesCheckpoints: boolean;
  #isStopAsked = false;

  constructor(number: number, run: StageRun) {
    this.number = number;
    this.#writesCheckpoints = run.work.stage === "denoise" && hasCheckpoints(run.checkpoints);
  }

  cancel(): void {
    this.#cancelled.abort();
  }

  /** A run that could not keep what it has done loses nothing by ending at once. */
  stop(): void {
    this.#isStopAsked = true;
    if (!this.#writesCheckpoints) this.cancel();
  }

  get options(): RunOptions {
    const { number } = this;
    return {
      signal: this.#cancelled.signal,
      isStopAsked: () => this.#isStopAsked,
      onProgress: (progress) => answer({ kind: "progress", number, progress }),
      onCheckpoint: (checkpoint) => answer({ kind: "checkpoint", number, checkpoint }),
    };
  }
}

serve(workerData as InferenceConfig).catch((thrown: unknown) => {
  answer({ kind: "refused", failure: failureOf(toFarmError(thrown, "RUNTIME_START_FAILED")) });
});
