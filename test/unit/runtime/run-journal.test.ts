import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { journaledInference, type RunLine } from "../../../services/worker/runtime/run-journal.ts";
import type { StageResult, StageRun } from "../../../services/worker/runtime/stage-run.ts";
import type { ClientRunOptions, InferenceClient } from "../../../services/worker/runtime/thread/inference-client.ts";
import { sha256 } from "../../support/store-world.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-run-journal-"));
});
afterEach(() => rm(folder, { recursive: true }));

const times = { loadMs: 1, computeMs: 2, deviceMs: 3, checkpointMs: 0 };

/** Inference that does what a test says with a run, and the lines that were written meanwhile. */
function journaled(play: (options: ClientRunOptions) => Promise<StageResult>) {
  const lines: RunLine[] = [];
  const inference: InferenceClient = {
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    stopRun: () => undefined,
    residentDigests: () => [],
    runningRunId: () => undefined,
    run: (_run, options) => play(options),
  };
  const run = { runId: "one", work: { stage: "clip_encode" }, inputs: { checkpoint: {} } } as unknown as StageRun;
  const options = {
    signal: new AbortController().signal,
    onStarted: () => undefined,
    onProgress: () => undefined,
    onCheckpoint: () => undefined,
    onComputed: () => undefined,
  };
  return { lines, ran: journaledInference(inference, { write: (line) => void lines.push(line) }).run(run, options) };
}

it("a run is written down with what it cost and the hashes of what it left, before its result is told", async () => {
  const path = join(folder, "out");
  await writeFile(path, "latents");
  const outputs = [{ name: "latents", path, mediaType: "text/plain", bytes: 7 }];
  const { lines, ran } = journaled((options) => {
    options.onStarted(undefined);
    for (const step of [1, 2]) options.onProgress({ phase: "denoise", step, steps: 2, stepMs: 1 });
    options.onCheckpoint({ path, step: 2, bytes: 7, tookMs: 1, failure: "" });
    options.onCheckpoint({ path, step: 3, bytes: 7, tookMs: 1, failure: "disk full" });
    return Promise.resolve({ outputs, warnings: [], ...times, providers: [], residentDigests: [] });
  });
  await ran;
  expect(lines).toEqual([
    { kind: "began", runId: "one", stage: "clip_encode", fromCheckpoint: true },
    { kind: "stepped", runId: "one", step: 1, steps: 2 },
    { kind: "checkpointed", runId: "one", step: 2 },
    {
      kind: "ended",
      runId: "one",
      outcome: "succeeded",
      loadMs: 1,
      computeMs: 2,
      deviceMs: 3,
      outputs: [{ name: "latents", sha256: sha256("latents"), sizeBytes: 7 }],
    },
  ]);
});

it("a run that failed is written down with its code", async () => {
  const { lines, ran } = journaled((options) => {
    options.onStarted(undefined);
    return Promise.reject(new FarmError("STAGE_NOT_FINITE"));
  });
  await expect(ran).rejects.toMatchObject({ code: "STAGE_NOT_FINITE" });
  expect(lines.at(-1)).toEqual({ kind: "ended", runId: "one", outcome: "STAGE_NOT_FINITE" });
});

it("a run that never had the slot is not written down", async () => {
  const { lines, ran } = journaled(() => Promise.reject(new FarmError("RUNTIME_BUSY")));
  await expect(ran).rejects.toMatchObject({ code: "RUNTIME_BUSY" });
  expect(lines).toEqual([]);
});
