/**
 * The artifact port in memory, for tests that need no disk; the contract suite holds it to what the real ones do.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { FarmError, toFarmError } from "../../services/domain/errors.ts";
import type { ArtifactStore } from "../../services/platform/artifacts/artifact-store.ts";

/** An empty store. */
export function createMemoryStore(): ArtifactStore {
  const held = new Map<string, Buffer>();
  const checked = (sha256: string): string => {
    if (/^[0-9a-f]{64}$/.test(sha256)) return sha256;
    throw new FarmError("ARTIFACT_UNKNOWN");
  };
  return {
    backend: "memory",
    async put(sha256, path, signal) {
      checked(sha256);
      signal?.throwIfAborted();
      const bytes = await readFile(path).catch((thrown: unknown) => {
        throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
      });
      signal?.throwIfAborted();
      if (createHash("sha256").update(bytes).digest("hex") !== sha256) throw new FarmError("ARTIFACT_CORRUPT");
      held.set(sha256, bytes);
    },
    get(sha256, range, signal) {
      const bytes = held.get(checked(sha256));
      if (bytes === undefined) return Promise.reject(new FarmError("ARTIFACT_MISSING"));
      return Promise.resolve(inPieces(range === undefined ? bytes : bytes.subarray(range.start, Math.max(range.start, range.end)), signal));
    },
    stat(sha256) {
      const bytes = held.get(checked(sha256));
      return Promise.resolve(bytes === undefined ? undefined : { sizeBytes: bytes.length });
    },
    delete(sha256) {
      held.delete(checked(sha256));
      return Promise.resolve();
    },
    // eslint-disable-next-line @typescript-eslint/require-await -- an iterable of what is there
    async *list() {
      for (const [sha256, bytes] of held) yield { sha256, sizeBytes: bytes.length };
    },
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- an iterable of what is there
async function* inPieces(bytes: Buffer, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 65_536) {
    signal?.throwIfAborted();
    yield bytes.subarray(start, start + 65_536);
  }
}
