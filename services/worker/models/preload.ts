/**
 * Loads engines and runs each once, before the worker asks for work.
 *
 * A run of stage `warm` like any other, so the runtime's log, cancel and death are those of runs. Each engine has the load limit for itself. At the
 * end of the first time all of them must be open still: engines that push each other out are not held, whatever was asked.
 */
import { stat } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { type DescribeRuntimeResponse, RunStageRequest } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { Logger } from "../../platform/logging.ts";
import { readNodeAliases } from "../../platform/models/node-aliases.ts";
import type { RuntimePort } from "../session/attempt-ports.ts";
import type { HeldModelFolder } from "./held-models.ts";
import { type PlannedLoad, planPreload, type PreloadCandidate, type PreloadChoice } from "./preload-plan.ts";

export type PreloadOptions = {
  readonly choice: PreloadChoice;
  readonly held: readonly HeldModelFolder[];
  /** Nothing else runs. Later, what was claimed before may push an engine out, as it may at any time. */
  readonly isFirst: boolean;
  /** Where they lie. */
  readonly modelsFolder: string;
  readonly runtime: Pick<RuntimePort, "run"> & { describeNow(): Promise<DescribeRuntimeResponse> };
  /** Exists; nothing is written to it. */
  readonly outputFolder: string;
  /** Of each engine. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly onLoading: (of: { readonly model: string; readonly stage: string }) => void;
  readonly onLoaded: (of: { readonly model: string; readonly stage: string }, loadSeconds: number) => void;
};

const cancelGraceMs = 1_000;

/** Resolves when every engine has run; PRELOAD_FAILED names the engine and the cause. */
export async function preload(options: PreloadOptions): Promise<void> {
  const { choice, held, logger, onLoading, onLoaded } = options;
  if (choice.kind === "none") return;
  const aliases = await readNodeAliases(options.modelsFolder);
  const loads = planPreload(choice, { candidates: await Promise.all(held.map(candidateOf)), aliases });
  for (const load of loads) {
    const { name: model } = load.manifest;
    const { name: engine, stage } = load.engine;
    onLoading({ model, stage });
    const { loadMs, computeMs } = await loadOne(load, options);
    logger.info({ model, engine, loadMs: Math.round(loadMs), runMs: Math.round(computeMs) }, "engine loaded and run");
    onLoaded({ model, stage }, loadMs / 1_000);
  }
  if (options.isFirst) requireResident(loads, await options.runtime.describeNow());
}

async function candidateOf({ manifest, version }: HeldModelFolder): Promise<PreloadCandidate> {
  // A pull writes its list last: the folder's time is when that was.
  const { mtimeMs } = await stat(manifest.folder);
  return { manifest, version, arrivedAtMs: mtimeMs };
}

async function loadOne({ manifest, engine }: PlannedLoad, { runtime, outputFolder, limitMs, signal }: PreloadOptions) {
  const late = AbortSignal.timeout(limitMs);
  const request = RunStageRequest.create({
    runId: `preload-${engine.name}-${engine.digest.slice(0, 12)}`,
    modelFolder: manifest.folder,
    engineDigests: { [engine.name]: engine.digest },
    parameters: { kind: { $case: "warm", value: { engine: engine.name } } },
    outputFolder,
  });
  const ignore = (): void => undefined;
  const heard = { onStarted: ignore, onProgress: ignore, onCheckpoint: ignore, onComputed: ignore };
  try {
    const leave = new AbortController().signal;
    return await runtime.run(request, { ...heard, signal: AbortSignal.any([signal, late]), leave, cancelGraceMs: () => cancelGraceMs });
  } catch (thrown) {
    const cause = toFarmError(thrown);
    const reason = late.aborted ? `was not loaded and run within ${limitMs} ms (VAPFARM_LOAD_LIMIT_MS)` : `${cause.code}: ${cause.message}`;
    throw failed(`engine ${engine.name} of model ${manifest.name} (${manifest.folder}): ${reason}`, cause);
  }
}

function requireResident(loads: readonly PlannedLoad[], { residentEngineDigests }: DescribeRuntimeResponse): void {
  const resident = new Set(residentEngineDigests);
  const closed = loads.filter(({ engine }) => !resident.has(engine.digest)).map(({ manifest, engine }) => `${manifest.name}/${engine.name}`);
  if (closed.length === 0) return;
  throw failed(`${closed.join(", ")} did not stay open: together the engines need more than VAPFARM_RUNTIME_SESSION_BYTES`);
}

function failed(message: string, cause?: FarmError): FarmError {
  return new FarmError("PRELOAD_FAILED", { message, cause, details: cause?.details ?? {} });
}
