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
import type { MetricsManifest } from "../platform/models/metrics-manifest.ts";
import { findModels, type HeldManifest, openManifest } from "../platform/models/repository.ts";

/** A manifest, and what a job that uses it is pinned to. */
export type Referenced<Manifest> = {
  readonly manifest: Manifest;
  /** The name of a plain folder's model, `<name>:<version>` of one that was pushed. */
  readonly reference: string;
  /** That name the version now. */
  readonly aliases: readonly string[];
};

/** Models and metric repositories by everything that names them; several names may mean one. */
export type HeldModels = {
  readonly models: ReadonlyMap<string, Referenced<ModelManifest>>;
  readonly metrics: ReadonlyMap<string, Referenced<MetricsManifest>>;
};

export type ModelCatalogue = {
  /** Every sound model and metric repository, as they are now. */
  held(): Promise<HeldModels>;
};

/** A catalogue of the plain folders of a model repository; nothing is read before it is asked. */
export function createModelCatalogue(folder: string, logger: Logger): ModelCatalogue {
  const open = rememberingOpener();
  let told: ReadonlySet<string> = new Set();
  return {
    async held() {
      const { faults, models, metrics } = await findModels(folder, open);
      for (const fault of faults) {
        if (!told.has(fault.message)) logger.error({ folder, err: fault }, "a model is damaged and is not served");
      }
      told = new Set(faults.map(({ message }) => message));
      return { models: byName(models), metrics: byName(metrics) };
    },
  };
}

function byName<Manifest extends HeldManifest>(manifests: ReadonlyMap<string, Manifest>): ReadonlyMap<string, Referenced<Manifest>> {
  return new Map([...manifests].map(([name, manifest]) => [name, { manifest, reference: name, aliases: [] }]));
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
