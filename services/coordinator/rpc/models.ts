/**
 * ListModels and GetModel.
 */
import { FarmError } from "../../domain/errors.ts";
import { type GetModelRequest, type GetModelResponse, type ListModelsResponse, Model } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { Engine } from "../../platform/models/manifest.ts";
import type { OverviewStore, WorkerView } from "../store/store-contract.ts";
import type { ServedModel, ServedModels } from "./served-model.ts";

/** What these methods work with. */
export type ModelDependencies = { readonly store: Pick<OverviewStore, "listWorkers">; readonly models: ServedModels };

/** The handler of ListModels. */
export function createListModels({ store, models }: ModelDependencies) {
  return async (): Promise<ListModelsResponse> => {
    const [served, workers] = await Promise.all([models(), store.listWorkers(undefined)]);
    const sorted = [...served.values()].sort(byName(({ manifest }: ServedModel) => manifest.name));
    return { models: sorted.map((model) => modelToProto(model, workers)) };
  };
}

/** The handler of GetModel. */
export function createGetModel({ store, models }: ModelDependencies) {
  return async ({ name }: GetModelRequest): Promise<GetModelResponse> => {
    const served = await models();
    const model = served.get(name);
    if (model === undefined) throw modelNotFound(name, [...served.keys()]);
    return { model: modelToProto(model, await store.listWorkers(undefined)) };
  };
}

function modelNotFound(name: string, known: readonly string[]): FarmError {
  const named = name.slice(0, 80);
  const remedy = known.length === 0 ? "add a model to the farm" : `choose one of: ${[...known].sort().join(", ")}`;
  const field = { field: "name", reason: `"${named}" is no model of this farm`, remedy };
  return new FarmError("MODEL_NOT_FOUND", { details: { fields: [field], resource: named } });
}

function modelToProto({ manifest, facts }: ServedModel, workers: readonly WorkerView[]): Model {
  const { name, version, variant, weights, width, height, frames, fps, maxReferences, defaults, engines } = manifest;
  const isLive = ({ state }: WorkerView): boolean => state !== "lost" && state !== "stopped";
  return Model.create({
    name,
    version,
    variant,
    weights,
    width,
    height,
    frames,
    fps,
    maxReferences,
    defaults: { ...defaults, scheduler: facts.scheduler },
    engines: Object.values(engines)
      .sort(byName((engine: Engine) => engine.name))
      .map(({ name: engine, stage, digest, precision, memoryBytes }) => ({
        name: engine,
        stage,
        digest,
        precision,
        memoryBytes: BigInt(memoryBytes),
      })),
    workers: workers.filter((worker) => isLive(worker) && worker.models.includes(name)).length,
  });
}

function byName<T>(nameOf: (thing: T) => string): (left: T, right: T) => number {
  return (left, right) => (nameOf(left) < nameOf(right) ? -1 : 1);
}
