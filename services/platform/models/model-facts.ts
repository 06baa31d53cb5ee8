/**
 * What the farm's rules and planner need of a model, taken from its manifest in one place: coordinator and CLI judge and plan alike.
 */
import type { ModelFacts } from "../../domain/render-request.ts";
import { parseSchedulerConfig } from "../../domain/vap/scheduler-config.ts";
import type { ModelManifest } from "./manifest.ts";

/** What a request is checked against and completed from. */
export function factsOf({ name, width, height, frames, maxReferences, scheduler, defaults }: ModelManifest): ModelFacts {
  return { name, width, height, frames, maxReferences, scheduler: parseSchedulerConfig(scheduler).kind, defaults };
}

/** Engine name → digest: what content keys are made of. */
export function digestsOf({ engines }: ModelManifest): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.values(engines).map(({ name, digest }) => [name, digest]));
}
