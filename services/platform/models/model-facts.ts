/**
 * What the farm's rules, its planner and its arithmetic need of a model, taken from its manifest in one place: coordinator, CLI and runtime
 * judge, plan and compute alike.
 */
import type { ModelFacts } from "../../domain/render-request.ts";
import type { PlannedModel } from "../../domain/planned-task.ts";
import { variantOf } from "../../domain/variants/registry.ts";
import type { ModelSizes } from "../../domain/variants/variant.ts";
import type { ModelManifest } from "./manifest.ts";

/** What a request is checked against and completed from. */
export function factsOf({ name, variant, width, height, frames, maxReferences, schedulers, defaults }: ModelManifest): ModelFacts {
  const { hasDynamicGuidance } = variantOf(variant);
  return { name, width, height, frames, maxReferences, hasDynamicGuidance, schedulers, defaults };
}

/** What a render's graph is planned from. */
export function plannedModelOf({ name, variant, fps, engines, clip }: ModelManifest): PlannedModel {
  const engineDigests = Object.fromEntries(Object.values(engines).map((engine) => [engine.name, engine.digest]));
  const view = clip === undefined ? undefined : { shortestEdge: clip.shortestEdge, height: clip.cropHeight, width: clip.cropWidth };
  return { name, variant, fps, engineDigests, clip: view };
}

/** What is computed around the engines. */
export function sizesOf({ latent, vae, text, clip }: ModelManifest): ModelSizes {
  return { latent, vae, text, clip };
}
