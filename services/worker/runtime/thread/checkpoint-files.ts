/**
 * Checkpoints of a run on disk: written whole or not at all, each under a name of its own, and told once they are there. One that cannot be
 * written is told as that: a run does not end because a later one might have to do more again.
 *
 * Whoever is told of one may read it at any later time, so none is written to again or removed here: that is the caller's. Owns what they
 * cost: the run stands still while one is read or written.
 */
import { FarmError, toFarmError } from "../../../domain/errors.ts";
import type { CheckpointPace } from "../../../domain/vap/checkpoint-pace.ts";
import type { StageCheckpoint, StageRun } from "../stage-run.ts";
import type { StageFiles } from "./stage-files.ts";

export type CheckpointFiles = {
  readonly pace: CheckpointPace;
  /** The input "checkpoint"; undefined where the run begins at its beginning. What does not decode is ARTIFACT_CORRUPT. */
  read<T>(decode: (bytes: Uint8Array) => T): Promise<T | undefined>;
  /** Writes and tells one, or that it could not; returns how long the run stood still for it, in ms. */
  write(step: number, encode: () => Uint8Array): Promise<number>;
};

export type CheckpointOptions = {
  readonly files: Pick<StageFiles, "inputBytes" | "writeBytes" | "outputPath">;
  readonly onCheckpoint: (checkpoint: StageCheckpoint) => void;
  /** Filled as it goes. */
  readonly meter: { checkpointMs: number };
};

const inputName = "checkpoint";

/** Checkpoints of one run. */
export function checkpointFiles(run: StageRun, { files, onCheckpoint, meter }: CheckpointOptions): CheckpointFiles {
  return {
    pace: run.checkpoints,
    async read(decode) {
      if (run.inputs[inputName] === undefined) return undefined;
      const startedMs = performance.now();
      const decoded = decodeChecked(await files.inputBytes(inputName), decode);
      meter.checkpointMs += performance.now() - startedMs;
      return decoded;
    },
    async write(step, encode) {
      const startedMs = performance.now();
      const name = `checkpoint-${step}.safetensors`;
      const bytes = encode();
      const failure = await files.writeBytes(name, bytes).then(
        () => "",
        (thrown: unknown) => toFarmError(thrown).message,
      );
      const tookMs = performance.now() - startedMs;
      meter.checkpointMs += tookMs;
      onCheckpoint({ path: files.outputPath(name), step, bytes: bytes.byteLength, tookMs, failure });
      return tookMs;
    },
  };
}

function decodeChecked<T>(bytes: Uint8Array, decode: (bytes: Uint8Array) => T): T {
  try {
    return decode(bytes);
  } catch (thrown) {
    const { message } = toFarmError(thrown);
    throw new FarmError("ARTIFACT_CORRUPT", { message, details: { input: inputName }, cause: thrown });
  }
}
