/**
 * Models of the catalogue as pools serve them: what requests are checked against, and the planner of their graphs.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../domain/content-key.ts";
import { bytesText } from "../domain/bytes-text.ts";
import { memoryClass, workerMemoryClass } from "../domain/order.ts";
import { type PoolOfModels, poolOfModel } from "../domain/pool-of-model.ts";
import { planRender } from "../domain/stage-graph.ts";
import type { ModelManifest } from "../platform/models/manifest.ts";
import { factsOf, plannedModelOf } from "../platform/models/model-facts.ts";
import type { ModelCatalogue } from "./model-catalogue.ts";
import { shapesOfEngines } from "./dispatch/shapes.ts";
import type { ServedModel, ServedModels } from "./rpc/served-model.ts";
import type { TenantStore } from "./store/store-contract.ts";

/** A pool with the profile that its workers have. */
export type ServingPool = PoolOfModels & {
  readonly profile: string;
  /** The most device memory of its workers, in bytes; undefined: not known. */
  readonly memoryBytes?: number | undefined;
};

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
    tooLarge: tooLarge(manifest, pool),
    plan: (render, owner) => planRender({ render, model, pool: pool.name, profile: pool.profile, ...owner, sha256 }),
  };
}

/** Why no worker of the pool can ever run the model: its largest engine, against what the pool has. */
function tooLarge({ engines }: ModelManifest, { name, memoryBytes: has }: ServingPool): string | undefined {
  const [largest] = Object.values(engines).toSorted((one, other) => other.memoryBytes - one.memoryBytes);
  if (has === undefined || largest === undefined || memoryClass(largest.memoryBytes) <= workerMemoryClass(has)) return undefined;
  return `its ${largest.name} needs ${bytesText(largest.memoryBytes)} of device memory, workers of pool ${name} have ${bytesText(has)}`;
}

/** The models, of which the store knows what memory their shapes need before any of them is planned. */
export function teachShapes(models: ServedModels, store: Pick<TenantStore, "learnShapes">): ServedModels {
  const taught = new Map<string, number>();
  return async () => {
    const served = await models();
    const needs = [...served.values()].flatMap(({ manifest }) => memoryOfShapes(manifest));
    const news = needs.filter(([shape, bytes]) => (taught.get(shape) ?? -1) < bytes);
    if (news.length > 0) await store.learnShapes(Object.fromEntries(news));
    for (const [shape, bytes] of news) taught.set(shape, bytes);
    return served;
  };
}

function memoryOfShapes({ engines }: ModelManifest): readonly (readonly [shape: string, bytes: number])[] {
  return Object.values(engines).flatMap(({ name, digest, memoryBytes }) =>
    shapesOfEngines([[name, digest]])
      .filter((shape) => shape.endsWith(`/${digest}`))
      .map((shape) => [shape, memoryBytes] as const),
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
