/**
 * Models of the catalogue as the pool serves them: what requests are checked against, and the planner of their graphs.
 */
import { createHash } from "node:crypto";
import { planRender } from "../domain/stage-graph.ts";
import type { ModelManifest } from "../platform/models/manifest.ts";
import { digestsOf, factsOf } from "../platform/models/model-facts.ts";
import type { ModelCatalogue } from "./model-catalogue.ts";
import type { ServedModel } from "./rpc/served-model.ts";

/** For now one pool serves every model. */
export type ServingPool = { readonly name: string; readonly profile: string };

/** The models as they are at each call. */
export function createServedModels(catalogue: ModelCatalogue, pool: ServingPool): () => Promise<ReadonlyMap<string, ServedModel>> {
  return async () => {
    const manifests = await catalogue.models();
    return new Map([...manifests].map(([name, manifest]) => [name, servedModel(manifest, pool)]));
  };
}

/** A manifest as a served model. */
function servedModel(manifest: ModelManifest, pool: ServingPool): ServedModel {
  const { name, fps } = manifest;
  const engineDigests = digestsOf(manifest);
  return {
    facts: factsOf(manifest),
    manifest,
    plan: (render, { jobId, tenant, reuse }) =>
      planRender({ render, model: { name, fps, engineDigests }, pool: pool.name, profile: pool.profile, tenant, jobId, reuse, sha256 }),
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
