/**
 * Models of the catalogue as pools serve them: what requests are checked against, and the planner of their graphs.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../domain/content-key.ts";
import { type PoolOfModels, poolOfModel } from "../domain/pool-of-model.ts";
import { planRender } from "../domain/stage-graph.ts";
import type { ModelManifest } from "../platform/models/manifest.ts";
import { factsOf, plannedModelOf } from "../platform/models/model-facts.ts";
import type { ModelCatalogue } from "./model-catalogue.ts";
import type { ServedModel } from "./rpc/served-model.ts";

/** A pool with the profile that its workers have. */
export type ServingPool = PoolOfModels & { readonly profile: string };

/** The models as they are at each call; one that no pool serves is none of the farm's. */
export function createServedModels(
  catalogue: ModelCatalogue,
  pools: readonly ServingPool[],
): () => Promise<ReadonlyMap<string, ServedModel>> {
  return async () => {
    const served = new Map<string, ServedModel>();
    for (const [name, manifest] of await catalogue.models()) {
      const pool = poolOfModel(name, pools);
      if (pool !== undefined) served.set(name, servedModel(manifest, pool));
    }
    return served;
  };
}

/** A manifest as a served model. */
function servedModel(manifest: ModelManifest, pool: ServingPool): ServedModel {
  const model = plannedModelOf(manifest);
  const digest = sha256(new TextEncoder().encode(canonicalJson(model)));
  return {
    facts: factsOf(manifest),
    manifest,
    digest,
    pool: pool.name,
    plan: (render, owner) => planRender({ render, model, pool: pool.name, profile: pool.profile, ...owner, sha256 }),
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
