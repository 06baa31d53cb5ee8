/**
 * The models that this coordinator serves: manifests of the model repository, read again when they change.
 *
 * A damaged model is logged once and left out; it must not take the others along.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { toFarmError } from "../domain/errors.ts";
import type { Logger } from "../platform/logging.ts";
import { findModels, type FoundModels, type HeldManifest, openManifest } from "../platform/models/repository.ts";

export type ModelCatalogue = {
  /** Every sound model and metric repository by name, as the folder is now. */
  held(): Promise<Pick<FoundModels, "models" | "metrics">>;
};

/** A catalogue of a model repository's folder; nothing is read before it is asked. */
export function createModelCatalogue(folder: string, logger: Logger): ModelCatalogue {
  const open = rememberingOpener();
  let told: ReadonlySet<string> = new Set();
  return {
    async held() {
      const { faults, ...held } = await findModels(folder, open);
      for (const fault of faults) {
        if (!told.has(fault.message)) logger.error({ folder, err: fault }, "a model is damaged and is not served");
      }
      told = new Set(faults.map(({ message }) => message));
      return held;
    },
  };
}

type Opened = { readonly mark: string; readonly result: Promise<HeldManifest> };

/** Opens a model anew only when its manifest changed; a failure is remembered too. */
function rememberingOpener(): typeof openManifest {
  const known = new Map<string, Opened>();
  return async (folder) => {
    const mark = await markOf(join(folder, "farm.json"));
    const before = known.get(folder);
    if (before?.mark === mark) return before.result;
    const result = openManifest(folder);
    known.set(folder, { mark, result });
    return result;
  };
}

/** Changes with the file. */
async function markOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs}:${size}:${ino}`;
  } catch (thrown) {
    throw toFarmError(thrown, "MODEL_INVALID");
  }
}
