/**
 * The models that this coordinator serves: manifests of the model repository, read again when they change.
 *
 * A damaged model is logged once and left out; it must not take the others along.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { toFarmError } from "../domain/errors.ts";
import type { Logger } from "../platform/logging.ts";
import type { ModelManifest } from "../platform/models/manifest.ts";
import { findModels, openModel } from "../platform/models/repository.ts";

export type ModelCatalogue = {
  /** Every sound model by name, as the folder is now. */
  models(): Promise<ReadonlyMap<string, ModelManifest>>;
};

/** A catalogue of a model repository's folder; nothing is read before it is asked. */
export function createModelCatalogue(folder: string, logger: Logger): ModelCatalogue {
  const open = rememberingOpener();
  let told: ReadonlySet<string> = new Set();
  return {
    async models() {
      const { models, faults } = await findModels(folder, open);
      for (const fault of faults) {
        if (!told.has(fault.message)) logger.error({ folder, err: fault }, "a model is damaged and is not served");
      }
      told = new Set(faults.map(({ message }) => message));
      return models;
    },
  };
}

type Opened = { readonly mark: string; readonly result: Promise<ModelManifest> };

/** Opens a model anew only when its manifest changed; a failure is remembered too. */
function rememberingOpener(): typeof openModel {
  const known = new Map<string, Opened>();
  return async (folder) => {
    const mark = await markOf(join(folder, "farm.json"));
    const before = known.get(folder);
    if (before?.mark === mark) return before.result;
    const result = openModel(folder);
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
