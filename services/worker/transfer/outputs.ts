/**
 * Takes an attempt's outputs to the store: hashed, then put under their hash, which may be done twice without harm.
 */
import { rm } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { StageOutput } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import type { ProducedFile } from "../session/attempt-ports.ts";
import { type BackOff, backOffMs } from "../session/back-off.ts";
import { type Clock, sleep } from "../session/clock.ts";
import type { ArtifactCache } from "./artifact-cache.ts";

/** Hashes the files that the runtime wrote. */
export async function hashOutputs(outputs: readonly StageOutput[], signal: AbortSignal): Promise<readonly ProducedFile[]> {
  return Promise.all(
    outputs.map(async ({ name, path, mediaType }) => {
      const { sha256, sizeBytes } = await hashFile(path, signal).catch((thrown: unknown) => {
        throw toFarmError(thrown, "STAGE_FAILED");
      });
      return { artifact: { name, sha256, sizeBytes: BigInt(sizeBytes), mediaType }, path };
    }),
  );
}

export type OutputTarget = {
  readonly store: ArtifactStore;
  readonly cache: ArtifactCache;
  readonly clock: Clock;
  readonly draw: () => number;
  readonly retry: BackOff;
};

/** Puts them; a store that does not answer is asked again until the signal ends it, because the computing is already paid for. */
export async function putOutputs(target: OutputTarget, files: readonly ProducedFile[], signal: AbortSignal): Promise<void> {
  await Promise.all(files.map((file) => putOne(target, file, signal)));
}

/** Removes a file that was taken or is not needed; what cannot be removed goes with the attempt's folder. */
export async function discardOutput(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}

async function putOne(target: OutputTarget, { artifact, path }: ProducedFile, signal: AbortSignal): Promise<void> {
  const { store, cache, clock, retry, draw } = target;
  await cache.keep({ sha256: artifact.sha256, sizeBytes: Number(artifact.sizeBytes) }, path);
  for (let failures = 1; ; failures += 1) {
    try {
      await store.put(artifact.sha256, path, signal);
      return;
    } catch (thrown) {
      const error = toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
      if (signal.aborted) throw new FarmError("STAGE_CANCELLED", { cause: error });
      if (error.code !== "ARTIFACT_STORE_UNAVAILABLE") throw error;
      await sleep(clock, backOffMs(failures, retry, draw()), signal);
    }
  }
}
