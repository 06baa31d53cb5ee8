/**
 * Models that were pushed, beside those of plain folders: each version under its pinned reference, and under the aliases that name it now.
 *
 * What is planned needs farm.json alone, which Postgres has, so a coordinator knows of a version with the push's commit and of an alias with
 * its move's: both are read with each question, and a version's text once, for it never changes. A plain folder's model keeps its bare name;
 * elsewhere a bare name is what the alias `prod` names. A version that this release cannot read is logged once and left out.
 */
import { toFarmError } from "../domain/errors.ts";
import { aliasReference, defaultAlias, pinnedReference } from "../domain/model-reference.ts";
import type { Logger } from "../platform/logging.ts";
import { type HeldManifest, isMetrics, parseHeldManifest } from "../platform/models/repository.ts";
import type { HeldModels, ModelCatalogue, Referenced } from "./model-catalogue.ts";
import type { ModelStore, ServedVersions } from "./store/store-contract.ts";

/** The models of a catalogue of plain folders, and those of the store. */
export function withVersions(
  folders: ModelCatalogue,
  store: Pick<ModelStore, "servedVersions" | "farmJsons">,
  logger: Logger,
): ModelCatalogue {
  const manifestsOf = rememberingReader(store, logger);
  return {
    async held() {
      const [plain, served] = await Promise.all([folders.held(), store.servedVersions()]);
      if (served.versions.length === 0) return plain;
      return withServed(plain, served, await manifestsOf(served));
    },
  };
}

/** Manifests by pinned reference; one that cannot be read is undefined. */
type Manifests = ReadonlyMap<string, HeldManifest | undefined>;

function rememberingReader(store: Pick<ModelStore, "farmJsons">, logger: Logger): (served: ServedVersions) => Promise<Manifests> {
  const known = new Map<string, HeldManifest | undefined>();
  return async ({ versions }) => {
    const references = new Set(versions.map(({ name, version }) => pinnedReference(name, version)));
    for (const reference of known.keys()) if (!references.has(reference)) known.delete(reference);
    const fresh = versions.filter(({ name, version }) => !known.has(pinnedReference(name, version)));
    if (fresh.length === 0) return known;
    for (const [reference, text] of await store.farmJsons(fresh)) known.set(reference, manifestOf(text, reference, logger));
    return known;
  };
}

function manifestOf(text: string, reference: string, logger: Logger): HeldManifest | undefined {
  try {
    return parseHeldManifest(text, reference);
  } catch (thrown) {
    logger.error({ reference, err: toFarmError(thrown) }, "a version of a model cannot be read and is not served");
    return undefined;
  }
}

function withServed(plain: HeldModels, { versions, aliases }: ServedVersions, manifests: Manifests): HeldModels {
  const models = new Map(plain.models);
  const metrics = new Map(plain.metrics);
  for (const { name, version } of versions) {
    const reference = pinnedReference(name, version);
    const manifest = manifests.get(reference);
    if (manifest === undefined) continue;
    const own = aliases.filter((each) => each.name === name && each.version === version).map(({ alias }) => alias);
    const isPlain = plain.models.has(name) || plain.metrics.has(name);
    const names = [
      reference,
      ...own.map((alias) => aliasReference(name, alias)),
      ...(own.includes(defaultAlias) && !isPlain ? [name] : []),
    ];
    const known = { reference, aliases: own };
    if (isMetrics(manifest)) addUnder(metrics, names, { ...known, manifest });
    else addUnder(models, names, { ...known, manifest });
  }
  return { models, metrics };
}

function addUnder<Manifest>(to: Map<string, Referenced<Manifest>>, names: readonly string[], referenced: Referenced<Manifest>): void {
  for (const name of names) to.set(name, referenced);
}
