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
import type { InferenceConfig } from "../config.ts";
import { requireProviders } from "../engines/onnx-session.ts";
import type { StageRun } from "../stage-run.ts";
import { failureOf, type FromThread, type ToThread } from "./messages.ts";
import { StageRunner } from "./stage-runner.ts";

function answer(message: FromThread): void {
  parentPort?.postMessage(message);
}

async function serve(config: InferenceConfig): Promise<void> {
  if (parentPort === null) throw new FarmError("INTERNAL", { message: "this module is the entry of a worker thread" });
  const runner = new StageRunner(config);
  let controller = new AbortController();
  parentPort.on("message", (message: ToThread) => {
    switch (message.kind) {
      case "cancel":
        controller.abort();
        return;
      case "run":
        controller = new AbortController();
        void runOne(runner, message.run, controller.signal);
    }
  });
  await requireProviders(config);
  answer({ kind: "ready" });
}

async function runOne(runner: StageRunner, run: StageRun, signal: AbortSignal): Promise<void> {
  try {
    const result = await runner.run(run, { signal, onProgress: (progress) => answer({ kind: "progress", progress }) });
    answer({ kind: "done", result });
  } catch (thrown) {
    const error = signal.aborted ? new FarmError("STAGE_CANCELLED", { cause: thrown }) : toFarmError(thrown, "STAGE_FAILED");
    answer({ kind: "failed", failure: failureOf(error) });
  }
}

serve(workerData as InferenceConfig).catch((thrown: unknown) => {
  answer({ kind: "refused", failure: failureOf(toFarmError(thrown, "RUNTIME_START_FAILED")) });
});
