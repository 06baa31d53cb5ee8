/**
 * A served model and the workers that hold it → operator.proto.
 */
import { Model } from "../../gen/proto/vapfarm/v1/operator.ts";
import { shapesOfEngines } from "../dispatch/shapes.ts";
import type { WorkerView } from "../store/store-contract.ts";
import type { ServedModel } from "./served-model.ts";
import { isLive } from "./worker-mapping.ts";

/** A model with its engines in order of name. */
export function modelToProto({ manifest, facts, pool, reference, aliases }: ServedModel, workers: readonly WorkerView[]): Model {
  const shapes = reference === manifest.name ? [] : shapesOfEngines(digestsOf(manifest));
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
    workers: workers.filter((worker) => isLive(worker) && holds(worker, name, shapes)).length,
    reference,
    aliases: [...aliases],
  });
}

function digestsOf({ engines }: ServedModel["manifest"]): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.values(engines).map(({ name, digest }) => [name, digest]));
}

/** A worker says names and engines: of a version it holds all engines. */
function holds({ models, shapes: own }: WorkerView, name: string, shapes: readonly string[]): boolean {
  return models.includes(name) && shapes.every((shape) => own.includes(shape));
}
