/**
 * Entry of the inference thread: proves the providers, says it is ready, then runs what it is told.
 *
 * It listens before anything else, so that it lives until it is ended: a thread that ended by itself after a refusal could be seen to be gone before its
 * last message is read, and the reason would be lost.
 *
 * `session.run` blocks this thread for a whole step, so everything that must answer meanwhile lives on the main thread.
 */
import { parentPort, workerData } from "node:worker_threads";
import { FarmError, toFarmError } from "../../../domain/errors.ts";
import { hasCheckpoints } from "../../../domain/vap/checkpoint-pace.ts";
import type { InferenceConfig } from "../config.ts";
import { requireProviders } from "../engines/onnx-session.ts";
import type { StageRun } from "../stage-run.ts";
import { failureOf, type FromThread, type ToThread } from "./messages.ts";
import { type RunOptions, StageRunner } from "./stage-runner.ts";

function answer(message: FromThread): void {
  parentPort?.postMessage(message);
}

async function serve(config: InferenceConfig): Promise<void> {
  if (parentPort === null) throw new FarmError("INTERNAL", { message: "this module is the entry of a worker thread" });
  const runner = new StageRunner(config);
  let current = new RunControl(undefined);
  parentPort.on("message", (message: ToThread) => {
    switch (message.kind) {
      case "cancel":
        current.cancel();
        return;
      case "stop":
        current.stop();
        return;
      case "run":
        current = new RunControl(message.run);
        void runOne(runner, message.run, current);
    }
  });
  await requireProviders(config);
  answer({ kind: "ready" });
}

/** What one run is told from outside. */
class RunControl {
  readonly #cancelled = new AbortController();
  readonly #writesCheckpoints: boolean;
  #isStopAsked = false;

  constructor(run: StageRun | undefined) {
    this.#writesCheckpoints = run?.work.stage === "denoise" && hasCheckpoints(run.checkpoints);
  }

  cancel(): void {
    this.#cancelled.abort();
  }

  /** A run that could not keep what it has done loses nothing by ending at once. */
  stop(): void {
    this.#isStopAsked = true;
    if (!this.#writesCheckpoints) this.cancel();
  }

  options(): RunOptions {
    return {
      signal: this.#cancelled.signal,
      isStopAsked: () => this.#isStopAsked,
      onProgress: (progress) => answer({ kind: "progress", progress }),
      onCheckpoint: (checkpoint) => answer({ kind: "checkpoint", checkpoint }),
    };
  }
}

async function runOne(runner: StageRunner, run: StageRun, control: RunControl): Promise<void> {
  const options = control.options();
  try {
    answer({ kind: "done", result: await runner.run(run, options) });
  } catch (thrown) {
    const error = options.signal.aborted ? new FarmError("STAGE_CANCELLED", { cause: thrown }) : toFarmError(thrown, "STAGE_FAILED");
    answer({ kind: "failed", failure: failureOf(error) });
  }
}

serve(workerData as InferenceConfig).catch((thrown: unknown) => {
  answer({ kind: "refused", failure: failureOf(toFarmError(thrown, "RUNTIME_START_FAILED")) });
});
