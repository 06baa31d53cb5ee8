/**
 * Which engines a worker loads before it takes work. Pure.
 *
 * `none`, `all`, or names: `cog` is every engine of the model, `cog/denoise` those of a stage, or one engine by its name. Of several versions of
 * a model it is the one that came to the node last: it is what an alias was most likely moved to, and two do not fit.
 */
import { FarmError } from "../../domain/errors.ts";
import { isEngineName, isMetricEngine } from "../../domain/stage.ts";
import type { Engine } from "../../platform/models/manifest.ts";
import type { HeldManifest } from "../../platform/models/repository.ts";

/** The setting, read. */
export type PreloadChoice =
  | { readonly kind: "none" }
  | { readonly kind: "all" }
  | { readonly kind: "named"; readonly names: readonly { readonly model: string; readonly engine: string | undefined }[] };

/** A model that is held, and when it came. */
export type PreloadCandidate = { readonly manifest: HeldManifest; readonly arrivedAtMs: number };

/** An engine to load. */
export type PlannedLoad = { readonly manifest: HeldManifest; readonly engine: Engine };

/** Reads the setting's text; undefined for what is none. */
export function parsePreload(text: string): PreloadChoice | undefined {
  if (text === "none" || text === "all") return { kind: text };
  const names = text.split(",").map((each) => each.trim());
  if (!names.every((name) => /^[A-Za-z0-9._-]+(\/[a-z0-9_]+)?$/.test(name))) return undefined;
  return {
    kind: "named",
    names: names.map((name) => {
      const [model = "", engine] = name.split("/");
      return { model, engine };
    }),
  };
}

/** The engines, each digest once, in order of model and engine; PRELOAD_FAILED names what is not held. */
export function planPreload(choice: PreloadChoice, candidates: readonly PreloadCandidate[]): readonly PlannedLoad[] {
  if (choice.kind === "none") return [];
  const newest = newestOf(candidates);
  const loads =
    choice.kind === "all"
      ? newest.flatMap((manifest) => loadsOf(manifest, undefined))
      : choice.names.flatMap((name) => namedLoads(newest, name));
  return [...new Map(loads.map((load) => [load.engine.digest, load])).values()];
}

function newestOf(candidates: readonly PreloadCandidate[]): readonly HeldManifest[] {
  const byName = new Map<string, PreloadCandidate>();
  for (const candidate of candidates) {
    const other = byName.get(candidate.manifest.name);
    if (other === undefined || other.arrivedAtMs < candidate.arrivedAtMs) byName.set(candidate.manifest.name, candidate);
  }
  return [...byName.values()].map(({ manifest }) => manifest).toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

type Named = Extract<PreloadChoice, { kind: "named" }>["names"][number];

function namedLoads(manifests: readonly HeldManifest[], { model, engine }: Named): readonly PlannedLoad[] {
  const manifest = manifests.find(({ name }) => name === model);
  if (manifest === undefined) throw new FarmError("PRELOAD_FAILED", { message: `VAPFARM_PRELOAD names model ${model}, which this worker does not hold` });
  const loads = loadsOf(manifest, engine);
  if (loads.length > 0) return loads;
  throw new FarmError("PRELOAD_FAILED", { message: `VAPFARM_PRELOAD names ${model}/${engine ?? ""}, and the model has no such stage or engine` });
}

/** Engines that this release runs. */
function loadsOf(manifest: HeldManifest, wanted: string | undefined): readonly PlannedLoad[] {
  return Object.values(manifest.engines)
    .filter(({ name, stage }) => (isEngineName(name) || isMetricEngine(name)) && (wanted === undefined || wanted === name || wanted === stage))
    .map((engine) => ({ manifest, engine }));
}
