/**
 * The part of a run that needs no device: writing its outputs, encoding its mp4, on the server's thread, while the inference thread has
 * another run.
 *
 * Invariants: an output appears whole or not at all; what is aborted ends at once as STAGE_CANCELLED.
 */
import { stat } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { encodeMp4 } from "../../platform/media/encode-mp4.ts";
import type { StageOutputFile, StageProgress, StageRun } from "./stage-run.ts";
import type { StageMade } from "./stages/stage-made.ts";
import { stageFiles } from "./thread/stage-files.ts";

const fileTypes = {
  tensors: { suffix: "safetensors", mediaType: "application/vnd.safetensors" },
  json: { suffix: "json", mediaType: "application/json" },
} as const;

type FinishOptions = { readonly signal: AbortSignal; readonly onProgress: (progress: StageProgress) => void };

/** Writes what the run made into its output folder, in the order in which it was made. */
export async function finishRun(run: StageRun, made: readonly StageMade[], options: FinishOptions): Promise<readonly StageOutputFile[]> {
  const files: StageOutputFile[] = [];
  for (const output of made) {
    if (options.signal.aborted) throw new FarmError("STAGE_CANCELLED");
    files.push(await writeOne(run, output, options));
  }
  return files;
}

async function writeOne(run: StageRun, made: StageMade, options: FinishOptions): Promise<StageOutputFile> {
  try {
    return await (made.kind === "mp4" ? writeMp4(run, made, options) : writeBytes(run, made));
  } catch (thrown) {
    throw toFarmError(thrown, "STAGE_FAILED");
  }
}

async function writeBytes(run: StageRun, { kind, name, bytes }: Exclude<StageMade, { kind: "mp4" }>): Promise<StageOutputFile> {
  const { suffix, mediaType } = fileTypes[kind];
  const path = await stageFiles(run).writeBytes(`${name}.${suffix}`, bytes);
  return { name, path, mediaType, bytes: bytes.byteLength };
}

async function writeMp4(run: StageRun, made: Extract<StageMade, { kind: "mp4" }>, options: FinishOptions): Promise<StageOutputFile> {
  const { name, frames, fps, ffmpegPath } = made;
  const [steps = 0] = frames.shape;
  const path = stageFiles(run).outputPath("video.mp4");
  const report = (step: number): void => options.onProgress({ phase: "mp4", step, steps, stepMs: 0 });
  report(0);
  await encodeMp4({ ffmpegPath, frames, fps, path, signal: options.signal, onFrame: report });
  return { name, path, mediaType: "video/mp4", bytes: (await stat(path)).size };
}
