/**
 * The models that this coordinator serves: manifests of the model repository, read again when they change.
 *
 * A damaged model is logged and left out; it must not take the others along.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { toFarmError } from "../domain/errors.ts";
import type { Logger } from "../platform/logging.ts";
import type { ModelManifest } from "../platform/models/manifest.ts";
import { openModel } from "../platform/models/repository.ts";

export type ModelCatalogue = {
  /** Every sound model by name, as the folder is now. */
  models(): Promise<ReadonlyMap<string, ModelManifest>>;
};

type Known = { readonly mark: string; readonly manifest: ModelManifest | undefined };

/** A catalogue of a model repository's folder; nothing is read before it is asked. */
export function createModelCatalogue(folder: string, logger: Logger): ModelCatalogue {
  const known = new Map<string, Known>();
  return {
    async models() {
      const found = new Map<string, ModelManifest>();
      for (const name of await foldersOf(folder)) {
        const manifest = await refresh(known, join(folder, name), logger);
        if (manifest !== undefined) found.set(manifest.name, manifest);
      }
      return found;
    },
  };
}

async function foldersOf(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isFile())
      .map(({ name }) => name)
      .sort();
  } catch (thrown) {
    throw toFarmError(thrown, "MODEL_INVALID");
  }
}

async function refresh(known: Map<string, Known>, folder: string, logger: Logger): Promise<ModelManifest | undefined> {
  const mark = await markOf(join(folder, "farm.json"));
  if (mark === undefined) return undefined;
  const before = known.get(folder);
  if (before?.mark === mark) return before.manifest;
  const manifest = await openModel(folder).catch((thrown: unknown) => {
    logger.error({ folder, err: thrown }, "a model is damaged and is not served");
    return undefined;
  });
  known.set(folder, { mark, manifest });
  return manifest;
}

/** Changes with the file; undefined when there is none. */
async function markOf(path: string): Promise<string | undefined> {
  return stat(path).then(
    ({ mtimeMs, size, ino }) => `${mtimeMs}:${size}:${ino}`,
    () => undefined,
  );
}
