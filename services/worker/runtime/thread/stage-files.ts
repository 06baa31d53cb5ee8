/**
 * Inputs and outputs of a run on disk.
 *
 * Invariants: an input that is missing or damaged is an error naming it; an output appears in the folder under its name whole
 * or not at all. Files need no sync: a result that a crash loses is computed again.
 */
import { open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../../domain/errors.ts";
import { decodeSafetensors } from "../../../domain/tensors/safetensors.ts";
import type { Tensor } from "../../../domain/tensors/tensor.ts";
import type { StageInputSource, StageRun } from "../stage-run.ts";

export type StageFiles = {
  inputPath(name: string): Promise<string>;
  inputBytes(name: string): Promise<Uint8Array>;
  inputTensors(name: string): Promise<ReadonlyMap<string, Tensor>>;
  /** Writes a file of the output folder whole or not at all; returns its path. */
  writeBytes(fileName: string, bytes: Uint8Array): Promise<string>;
  outputPath(fileName: string): string;
};

/** Files of one run. */
export function stageFiles({ inputs, outputFolder }: StageRun): StageFiles {
  const outputPath = (fileName: string): string => join(outputFolder, fileName);
  const writeBytes = (fileName: string, bytes: Uint8Array): Promise<string> => writeWhole(outputPath(fileName), bytes);
  return {
    outputPath,
    writeBytes,
    inputPath: (name) => pathOf(name, inputs[name], outputPath),
    inputBytes: (name) => bytesOf(name, inputs[name]),
    inputTensors: async (name) => tensorsOf(name, await bytesOf(name, inputs[name])),
  };
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<string> {
  const partial = `${path}.partial`;
  try {
    await writeFile(partial, bytes);
    await rename(partial, path);
  } catch (thrown) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw thrown;
  }
  return path;
}

/** ffmpeg reads files, so inline bytes become one; it is removed with the output folder. */
async function pathOf(name: string, source: StageInputSource | undefined, outputPath: (fileName: string) => string): Promise<string> {
  if (source === undefined) throw missing(name);
  if (source.kind === "path") return source.path;
  const path = outputPath(`${name}.input`);
  const file = await open(path, "w");
  try {
    await file.writeFile(source.bytes);
  } finally {
    await file.close();
  }
  return path;
}

async function bytesOf(name: string, source: StageInputSource | undefined): Promise<Uint8Array> {
  if (source === undefined) throw missing(name);
  if (source.kind === "inline") return source.bytes;
  return readFile(source.path).catch((cause: unknown) => {
    throw new FarmError("ARTIFACT_MISSING", { message: `input ${name} cannot be read`, details: { input: name }, cause });
  });
}

function tensorsOf(name: string, bytes: Uint8Array): ReadonlyMap<string, Tensor> {
  try {
    return decodeSafetensors(bytes).tensors;
  } catch (thrown) {
    if (!(thrown instanceof FarmError)) throw thrown;
    throw new FarmError(thrown.code, { message: `input ${name}: ${thrown.message}`, details: { input: name }, cause: thrown });
  }
}

function missing(name: string): FarmError {
  return new FarmError("STAGE_INPUT_INVALID", { message: `input ${name} is missing`, details: { input: name } });
}
