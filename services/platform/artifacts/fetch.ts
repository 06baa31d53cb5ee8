/**
 * Moves artifacts between a store and local files, checking their hash on the way.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { writeAll } from "../write-all.ts";
import type { ArtifactStore } from "./artifact-store.ts";

const chunkBytes = 1024 * 1024;

/** Lower-case hex SHA-256 of a file. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<{ readonly sha256: string; readonly sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes, signal }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), sizeBytes };
}

/** Writes an artifact to a new file; ARTIFACT_CORRUPT (and no file) when its bytes do not have its name. */
export async function fetchToFile(
  store: ArtifactStore,
  artifact: { readonly sha256: string; readonly path: string },
  signal?: AbortSignal,
): Promise<void> {
  const hash = createHash("sha256");
  const chunks = await store.get(artifact.sha256, undefined, signal);
  const file = await open(artifact.path, "wx").catch((thrown: unknown) => {
    throw toFarmError(thrown, "STAGE_FAILED");
  });
  try {
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      hash.update(chunk);
      await writeAll(file, chunk);
    }
    if (hash.digest("hex") !== artifact.sha256) throw new FarmError("ARTIFACT_CORRUPT", { details: { sha256: artifact.sha256 } });
  } catch (thrown) {
    await rm(artifact.path, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
}
