/**
 * ListModels and GetModel: plain folders' models, and of those that were pushed what an alias names.
 */
import { FarmError } from "../../domain/errors.ts";
import { isModelName, parseModelReference } from "../../domain/model-reference.ts";
import type { GetModelRequest, GetModelResponse, ListModelsResponse } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { OverviewStore } from "../store/store-contract.ts";
import { modelToProto } from "./model-mapping.ts";
import type { ServedModels } from "./served-model.ts";

/** What these methods work with. */
export type ModelDependencies = { readonly store: Pick<OverviewStore, "listWorkers">; readonly models: ServedModels };

/** The handler of ListModels. */
export function createListModels({ store, models }: ModelDependencies) {
  return async (): Promise<ListModelsResponse> => {
    const [served, workers] = await Promise.all([models(), store.listWorkers(undefined)]);
    const named = [...served].filter(([name]) => parseModelReference(name)?.kind !== "version").map(([, model]) => model);
    const sorted = [...new Set(named)].sort((left, right) => (left.reference < right.reference ? -1 : 1));
    return { models: sorted.map((model) => modelToProto(model, workers)) };
  };
}

/** The handler of GetModel. */
export function createGetModel({ store, models }: ModelDependencies) {
  return async ({ name }: GetModelRequest): Promise<GetModelResponse> => {
    const served = await models();
    const model = served.get(name);
    if (model === undefined) throw modelNotFound(name, [...served.keys()].filter(isModelName));
    return { model: modelToProto(model, await store.listWorkers(undefined)) };
  };
}

function modelNotFound(name: string, known: readonly string[]): FarmError {
  const named = name.slice(0, 80);
  const remedy = known.length === 0 ? "add a model to the farm" : `choose one of: ${[...known].sort().join(", ")}`;
  const field = { field: "name", reason: `"${named}" is no model of this farm`, remedy };
  return new FarmError("MODEL_NOT_FOUND", { details: { fields: [field], resource: named } });
}
