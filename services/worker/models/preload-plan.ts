/**
 * Which engines a worker loads before it takes work. Pure.
 *
 * `none`, `all`, or names: `cog` is every engine of the model, `cog/denoise` those of a stage, or one engine by its name; `cog@prod` and
 * `cog:1a2b3c4d5e6f` name one version. Of several a bare name means what it means for renders: the plain folder's, else what `prod` named when the
 * node was last filled. Where no puller wrote that down, or it is not here, it is the version that came last.
 */
import { FarmError } from "../../domain/errors.ts";
import { aliasReference, defaultAlias, type ModelReference, parseModelReference, pinnedReference } from "../../domain/model-reference.ts";
import { isEngineName, isMetricEngine } from "../../domain/stage.ts";
import type { Engine } from "../../platform/models/manifest.ts";
import type { NodeAliases } from "../../platform/models/node-aliases.ts";
import type { HeldManifest } from "../../platform/models/repository.ts";

/** The setting, read. */
export type PreloadChoice =
  | { readonly kind: "none" }
  | { readonly kind: "all" }
  | { readonly kind: "named"; readonly names: readonly Named[] };

type Named = { readonly model: ModelReference; readonly engine: string | undefined };

/** A model that is held, which version of it, undefined for a plain folder's, and when it came. */
export type PreloadCandidate = { readonly manifest: HeldManifest; readonly version: string | undefined; readonly arrivedAtMs: number };

/** What is held, and what aliases mean of it. */
export type PreloadStock = { readonly candidates: readonly PreloadCandidate[]; readonly aliases: NodeAliases };

/** An engine to load. */
export type PlannedLoad = { readonly manifest: HeldManifest; readonly engine: Engine };

/** Reads the setting's text; undefined for what is none. */
export function parsePreload(text: string): PreloadChoice | undefined {
  if (text === "none" || text === "all") return { kind: text };
  const names: Named[] = [];
  for (const each of text.split(",")) {
    const [reference = "", engine, ...rest] = each.trim().split("/");
    const model = parseModelReference(reference);
    if (model === undefined || rest.length > 0 || !/^[a-z0-9_]+$/.test(engine ?? "every")) return undefined;
    names.push({ model, engine });
  }
  return { kind: "named", names };
}

/** The engines, each digest once, in order of model and engine; PRELOAD_FAILED names what is not held. */
export function planPreload(choice: PreloadChoice, stock: PreloadStock): readonly PlannedLoad[] {
  if (choice.kind === "none") return [];
  const loads =
    choice.kind === "all"
      ? namesOf(stock).flatMap((name) => loadsOf(bareOf(name, stock), undefined))
      : choice.names.flatMap((name) => namedLoads(stock, name));
  return [...new Map(loads.map((load) => [load.engine.digest, load])).values()];
}

function namesOf({ candidates }: PreloadStock): readonly string[] {
  return [...new Set(candidates.map(({ manifest: { name } }) => name))].toSorted();
}

function bareOf(name: string, { candidates, aliases }: PreloadStock): HeldManifest | undefined {
  const own = candidates.filter(({ manifest }) => manifest.name === name);
  const meant = aliases.get(aliasReference(name, defaultAlias));
  const plain = own.find(({ version }) => version === undefined);
  const chosen = plain ?? own.find(({ version }) => version === meant) ?? own.toSorted((one, other) => other.arrivedAtMs - one.arrivedAtMs)[0];
  return chosen?.manifest;
}

function referredTo(model: ModelReference, stock: PreloadStock): HeldManifest | undefined {
  if (model.kind === "bare") return bareOf(model.name, stock);
  const version = model.kind === "version" ? model.version : stock.aliases.get(aliasReference(model.name, model.alias));
  const isMeant = (each: PreloadCandidate): boolean => each.manifest.name === model.name && each.version === version;
  return version === undefined ? undefined : stock.candidates.find(isMeant)?.manifest;
}

function namedLoads(stock: PreloadStock, { model, engine }: Named): readonly PlannedLoad[] {
  const manifest = referredTo(model, stock);
  const named = textOf(model);
  if (manifest === undefined) throw new FarmError("PRELOAD_FAILED", { message: `VAPFARM_PRELOAD names model ${named}, which this worker does not hold` });
  const loads = loadsOf(manifest, engine);
  if (loads.length > 0) return loads;
  throw new FarmError("PRELOAD_FAILED", { message: `VAPFARM_PRELOAD names ${named}/${engine ?? ""}, and the model has no such stage or engine` });
}

function textOf(model: ModelReference): string {
  if (model.kind === "alias") return aliasReference(model.name, model.alias);
  return model.kind === "version" ? pinnedReference(model.name, model.version) : model.name;
}

/** Engines that this release runs. */
function loadsOf(manifest: HeldManifest | undefined, wanted: string | undefined): readonly PlannedLoad[] {
  if (manifest === undefined) return [];
  return Object.values(manifest.engines)
    .filter(({ name, stage }) => (isEngineName(name) || isMetricEngine(name)) && (wanted === undefined || wanted === name || wanted === stage))
    .map((engine) => ({ manifest, engine }));
}
