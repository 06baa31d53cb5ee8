/**
 * The journal of a runtime: which runs it began and ended, what they cost and what they left, for whoever holds the farm's books against it.
 *
 * Invariants: a run is written down before any of its work, and its end before its result is told; a run without an end was killed, or runs.
 * The hashes of outputs cost reading them once more, which only a runtime that keeps a journal does.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { toFarmError } from "../../domain/errors.ts";
import type { Journal } from "../../platform/journal.ts";
import type { StageOutputFile, StageProgress, StageRun } from "./stage-run.ts";
import { type ClientRunOptions, type InferenceClient, withRun } from "./thread/inference-client.ts";

/** A line of the journal; each also has `atMs`, this machine's clock. */
export type RunLine =
  | { readonly kind: "opened"; readonly processId: number }
  | { readonly kind: "began"; readonly runId: string; readonly stage: string; readonly fromCheckpoint: boolean }
  /** At most once a second, and the first. */
  | { readonly kind: "stepped"; readonly runId: string; readonly step: number; readonly steps: number }
  | { readonly kind: "checkpointed"; readonly runId: string; readonly step: number }
  | {
      readonly kind: "ended";
      readonly runId: string;
      /** "succeeded", or the code of the failure. */
      readonly outcome: string;
      readonly loadMs?: number;
      readonly computeMs?: number;
      readonly deviceMs?: number;
      readonly outputs?: readonly { readonly name: string; readonly sha256: string; readonly sizeBytes: number }[];
    };

const leastStepGapMs = 1_000;

/** The same inference, each run written down. */
export function journaledInference(inference: InferenceClient, journal: Journal<RunLine>): InferenceClient {
  const begun = new Set<string>();
  return withRun(inference, async (run, options) => {
    const { runId } = run;
    const onStarted = (idleMs: number | undefined): void => {
      begun.add(runId);
      journal.write({ kind: "began", runId, stage: run.work.stage, fromCheckpoint: "checkpoint" in run.inputs });
      options.onStarted(idleMs);
    };
    try {
      const result = await inference.run(run, { ...options, ...heardOf(run, options, journal), onStarted });
      const { loadMs, computeMs, deviceMs } = result;
      const outputs = await Promise.all(result.outputs.map(hashed));
      begun.delete(runId);
      journal.write({ kind: "ended", runId, outcome: "succeeded", loadMs, computeMs, deviceMs, outputs });
      return result;
    } catch (thrown) {
      // One that never had the slot did not begin.
      if (begun.delete(runId)) journal.write({ kind: "ended", runId, outcome: toFarmError(thrown).code });
      throw thrown;
    }
  });
}

function heardOf(
  { runId }: StageRun,
  options: ClientRunOptions,
  journal: Journal<RunLine>,
): Pick<ClientRunOptions, "onProgress" | "onCheckpoint"> {
  let toldAtMs = -Infinity;
  return {
    onProgress(progress: StageProgress) {
      const { phase, step, steps } = progress;
      if (phase === "denoise" && performance.now() - toldAtMs >= leastStepGapMs) {
        toldAtMs = performance.now();
        journal.write({ kind: "stepped", runId, step, steps });
      }
      options.onProgress(progress);
    },
    onCheckpoint(checkpoint) {
      if (checkpoint.failure === "") journal.write({ kind: "checkpointed", runId, step: checkpoint.step });
      options.onCheckpoint(checkpoint);
    },
  };
}

async function hashed({ name, path, bytes }: StageOutputFile) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { name, sha256: hash.digest("hex"), sizeBytes: bytes };
}
