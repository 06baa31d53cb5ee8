/**
 * Reads a run's inputs before the inference thread has it, so that a run that waits needs no disk when its turn comes.
 *
 * Media are left to the program that decodes them. A file that cannot be read stays a path: the stage that needs it says so, by name.
 */
import { readFile } from "node:fs/promises";
import type { StageInputSource, StageRun } from "../stage-run.ts";

/** The run with its tensor files' bytes in it, and those bytes. */
export async function withInputs(run: StageRun): Promise<{ readonly run: StageRun; readonly read: readonly Uint8Array[] }> {
  if (run.work.stage === "prepare") return { run, read: [] };
  const read: Uint8Array[] = [];
  const readOne = async (source: StageInputSource): Promise<StageInputSource> => {
    if (source.kind === "inline") return source;
    const bytes = await readFile(source.path).catch(() => undefined);
    if (bytes === undefined) return source;
    read.push(bytes);
    return { kind: "inline", bytes };
  };
  const inputs = await Promise.all(Object.entries(run.inputs).map(async ([name, source]) => [name, await readOne(source)] as const));
  return { run: { ...run, inputs: Object.fromEntries(inputs) }, read };
}
