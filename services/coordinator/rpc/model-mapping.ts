/**
 * A served model and the workers that hold it → operator.proto.
 */
import { Model } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { WorkerView } from "../store/store-contract.ts";
import type { ServedModel } from "./served-model.ts";
import { isLive } from "./worker-mapping.ts";

/** A model with its engines in order of name. */
export function modelToProto({ manifest, facts, pool }: ServedModel, workers: readonly WorkerView[]): Model {
  const { name, version, variant, weights, width, height, frames, fps, maxReferences, defaults, engines } = manifest;
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
    defaults: { ...defaults, scheduler: facts.schedulers.kind },
    schedulers: [...facts.schedulers.kinds],
    pool,
    engines: Object.values(engines)
      .sort((left, right) => (left.name < right.name ? -1 : 1))
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
