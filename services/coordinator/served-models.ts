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
import type { HeldModels, ModelCatalogue, Referenced } from "./model-catalogue.ts";
import { computableMetrics, metricDigests, type MetricsManifest } from "../platform/models/metrics-manifest.ts";
import type { HeldManifest } from "../platform/models/repository.ts";
import type { RenderSpec } from "../domain/render-spec.ts";
import { shapeOf } from "../domain/stage.ts";
import { metricShapes } from "./dispatch/shapes.ts";
import type { MetricRepositories, ServedMetrics, ServedModel, ServedModels } from "./rpc/served-model.ts";
import type { TenantStore } from "./store/store-contract.ts";

/** A pool with the profile that its workers have. */
export type ServingPool = PoolOfModels & {
  readonly profile: string;
  /** The most device memory of its workers, in bytes; undefined: not known. */
  readonly memoryBytes?: number | undefined;
};

/** What a farm serves, as it is at each call; what no pool serves is not the farm's. */
export type Serving = { readonly models: ServedModels; readonly metrics: MetricRepositories };

/** The models and metric repositories of a catalogue, under everything that names them. */
export function createServing(catalogue: ModelCatalogue, pools: readonly ServingPool[]): Serving {
  const metricsOf = (held: HeldModels): ReadonlyMap<string, ServedMetrics> => inPools(held.metrics, pools, servedMetrics);
  return {
    metrics: async () => metricsOf(await catalogue.held()),
    models: async () => {
      const held = await catalogue.held();
      const metrics = metricsOf(held);
      return inPools(held.models, pools, (referenced, pool) => servedModel(referenced, pool, metrics));
    },
  };
}

/** What several names mean is served once. */
function inPools<Manifest extends HeldManifest, Served>(
  held: ReadonlyMap<string, Referenced<Manifest>>,
  pools: readonly ServingPool[],
  serve: (referenced: Referenced<Manifest>, pool: ServingPool) => Served,
): ReadonlyMap<string, Served> {
  const served = new Map<string, Served>();
  const known = new Map<Referenced<Manifest>, Served>();
  for (const [name, referenced] of held) {
    const pool = poolOfModel(referenced.manifest.name, pools);
    if (pool === undefined) continue;
    const one = known.get(referenced) ?? serve(referenced, pool);
    known.set(referenced, one);
    served.set(name, one);
  }
  return served;
}

function servedMetrics({ manifest, reference, aliases }: Referenced<MetricsManifest>, { name: pool, profile }: ServingPool): ServedMetrics {
  const engineDigests = metricDigests(manifest);
  const { name, weights } = manifest;
  const known = { name, reference, aliases, weights, engineDigests };
  return { ...known, digest: hashOf(engineDigests), pool, profile, metrics: computableMetrics(manifest) };
}

/** A manifest as a served model. */
function servedModel(
  { manifest, reference, aliases }: Referenced<ModelManifest>,
  pool: ServingPool,
  metrics: ReadonlyMap<string, ServedMetrics>,
): ServedModel {
  const model = plannedModelOf(manifest);
  const digest = digestOf(manifest);
  const at = { model, pool: pool.name, profile: pool.profile, sha256 };
  const measuring = ({ scores }: RenderSpec): ServedMetrics | undefined =>
    scores === undefined ? undefined : metrics.get(scores.metricsModel);
  return {
    // A render that was completed names what it is pinned to.
    facts: { ...factsOf(manifest), name: reference },
    manifest,
    reference,
    aliases,
    digest,
    pool: pool.name,
    tooLarge: tooLarge(manifest, pool),
    // Of a render without scores nothing is hashed: a manifest has a hundred thousand.
    digestFor: (render) => (render.scores === undefined ? digest : hashOf([digest, render.scores, measuring(render)?.digest ?? null])),
    plan: (render, owner) => planRender({ ...at, render, ...owner, metrics: measuring(render) }),
  };
}

const digests = new WeakMap<ModelManifest, string>();

/** Of what plans are made from; computed once for each manifest. */
function digestOf(manifest: ModelManifest): string {
  const known = digests.get(manifest) ?? hashOf(plannedModelOf(manifest));
  digests.set(manifest, known);
  return known;
}

function hashOf(value: unknown): string {
  return sha256(new TextEncoder().encode(canonicalJson(value)));
}

/** Why no worker of the pool can ever run the model: its largest engine, against what the pool has. */
function tooLarge({ engines }: ModelManifest, { name, memoryBytes: has }: ServingPool): string | undefined {
  const [largest] = Object.values(engines).toSorted((one, other) => other.memoryBytes - one.memoryBytes);
  if (has === undefined || largest === undefined || memoryClass(largest.memoryBytes) <= workerMemoryClass(has)) return undefined;
  return `its ${largest.name} needs ${bytesText(largest.memoryBytes)} of device memory, workers of pool ${name} have ${bytesText(has)}`;
}

/** The same, of which the store knows what memory its shapes need before any of them is planned. */
export function teachShapes(serving: Serving, catalogue: ModelCatalogue, store: Pick<TenantStore, "learnShapes">): Serving {
  const taught = new Map<string, number>();
  const teach = async (): Promise<void> => {
    const { models, metrics } = await catalogue.held();
    const needs = [
      ...[...models.values()].flatMap(({ manifest }) => memoryOfShapes(manifest)),
      ...[...metrics.values()].flatMap(({ manifest }) => memoryOfMetrics(manifest)),
    ];
    const news = needs.filter(([shape, bytes]) => (taught.get(shape) ?? -1) < bytes);
    if (news.length > 0) await store.learnShapes(Object.fromEntries(news));
    for (const [shape, bytes] of news) taught.set(shape, bytes);
  };
  return {
    metrics: serving.metrics,
    models: async () => {
      await teach();
      return await serving.models();
    },
  };
}

type ShapeMemory = readonly (readonly [shape: string, bytes: number])[];

function memoryOfShapes({ engines }: ModelManifest): ShapeMemory {
  return Object.values(engines).flatMap(({ stage, digest, memoryBytes }) =>
    stage === "score" ? [] : [[shapeOf(stage, [digest]), memoryBytes] as const],
  );
}

/** A metric has all of its networks open at once. */
function memoryOfMetrics(manifest: MetricsManifest): ShapeMemory {
  return metricShapes(metricDigests(manifest)).map(({ shape, engines }) => {
    const bytes = engines.reduce((sum, engine) => sum + (manifest.engines[engine]?.memoryBytes ?? 0), 0);
    return [shape, bytes] as const;
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
