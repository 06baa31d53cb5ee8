/**
 * A store whose operations are timed: `vapfarm_artifact_seconds{operation,backend,code}`.
 *
 * Of a get only the waiting for the store counts, from the call to the last byte; a slow reader's own time does not.
 */
import { toFarmError } from "../../domain/errors.ts";
import type { Metrics } from "../metrics.ts";
import type { ArtifactStore } from "./artifact-store.ts";

export type ArtifactOperation = "put" | "get" | "stat" | "delete";

export type ObserveArtifact = (done: {
  readonly operation: ArtifactOperation;
  readonly backend: string;
  /** `OK` or the error's; `STAGE_CANCELLED` for a get that was not read to its end. */
  readonly code: string;
  readonly seconds: number;
}) => void;

const buckets = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

/** Registers the histogram. */
export function createArtifactMetrics(metrics: Metrics): ObserveArtifact {
  const seconds = metrics.histogram({
    name: "vapfarm_artifact_seconds",
    help: "Seconds of operations on the artifact store, by operation, backend and code",
    labels: ["operation", "backend", "code"],
    buckets,
  });
  return ({ operation, backend, code, seconds: value }) => seconds.observe({ operation, backend, code }, value);
}

/** The same store, observed. */
export function measureStore(store: ArtifactStore, observe: ObserveArtifact): ArtifactStore {
  const { backend } = store;
  const timed = async <T>(operation: ArtifactOperation, work: () => Promise<T>): Promise<T> => {
    const watch = startWatch();
    const outcome = await watch.during(work).catch((thrown: unknown) => {
      observe({ operation, backend, code: toFarmError(thrown).code, seconds: watch.seconds() });
      throw thrown;
    });
    observe({ operation, backend, code: "OK", seconds: watch.seconds() });
    return outcome;
  };
  return {
    ...store,
    put: (sha256, path, signal) => timed("put", () => store.put(sha256, path, signal)),
    stat: (sha256) => timed("stat", () => store.stat(sha256)),
    delete: (sha256) => timed("delete", () => store.delete(sha256)),
    async get(sha256, range, signal) {
      const watch = startWatch();
      const end = (code: string): void => observe({ operation: "get", backend, code, seconds: watch.seconds() });
      try {
        const pieces = await watch.during(() => store.get(sha256, range, signal));
        return readTimed(pieces, watch, end);
      } catch (thrown) {
        end(toFarmError(thrown).code);
        throw thrown;
      }
    },
  };
}

type Watch = { during<T>(work: () => Promise<T>): Promise<T>; seconds(): number };

/** Adds up the time of what it is held to. */
function startWatch(): Watch {
  let ms = 0;
  return {
    async during(work) {
      const began = performance.now();
      try {
        return await work();
      } finally {
        ms += performance.now() - began;
      }
    },
    seconds: () => ms / 1_000,
  };
}

async function* readTimed(pieces: AsyncIterable<Uint8Array>, watch: Watch, end: (code: string) => void): AsyncGenerator<Uint8Array> {
  const reading = pieces[Symbol.asyncIterator]();
  let code = "STAGE_CANCELLED";
  try {
    for (;;) {
      const next = await watch.during(() => reading.next());
      if (next.done === true) {
        code = "OK";
        return;
      }
      yield next.value;
    }
  } catch (thrown) {
    code = toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE").code;
    throw thrown;
  } finally {
    end(code);
    await reading.return?.();
  }
}
