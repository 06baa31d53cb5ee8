/**
 * ListModelVersions, GetModelVersion, DownloadModelChunk and RemoveModelVersions: what nodes pull, and what nobody needs any more.
 */
import { FarmError } from "../../domain/errors.ts";
import { numberRule, refuseAny } from "../../domain/field-rules.ts";
import { defaultAlias, type ModelReference, parseModelReference } from "../../domain/model-reference.ts";
import * as wire from "../../gen/proto/vapfarm/v1/models.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import type { ModelStore, VersionView } from "../store/store-contract.ts";
import { checked } from "../../platform/artifacts/checked.ts";
import { inChunks } from "./chunks.ts";
import { chunkUnknown } from "./model-pushes.ts";
import { filesToProto, optionalNameRules, type PoolsOfModels, versionNameRules, versionToProto } from "./model-version-mapping.ts";

/** What they work with. */
export type VersionDependencies = {
  readonly store: Pick<ModelStore, "listVersions" | "versionFiles" | "chunkBytes" | "removeVersions">;
  readonly artifacts: Pick<ArtifactStore, "get">;
  readonly pools: PoolsOfModels;
};

const pieceBytes = 256 * 1024;
const mostKeepSeconds = 100 * 365 * 24 * 3600;

/** The handler of ListModelVersions. */
export function createListModelVersions({ store, pools }: VersionDependencies) {
  return async ({ name }: wire.ListModelVersionsRequest): Promise<wire.ListModelVersionsResponse> => {
    refuseAny(optionalNameRules(name));
    const views = await store.listVersions(name === "" ? undefined : name);
    return { versions: views.map((view) => versionToProto(view, pools)) };
  };
}

/** The handler of GetModelVersion. */
export function createGetModelVersion({ store, pools }: VersionDependencies) {
  return async ({ reference: text }: wire.GetModelVersionRequest): Promise<wire.GetModelVersionResponse> => {
    const reference = parseModelReference(text);
    const views = reference === undefined ? [] : await store.listVersions(reference.name);
    const view = reference === undefined ? undefined : meant(reference, views);
    const files = view === undefined ? undefined : await store.versionFiles(view);
    if (view === undefined || files === undefined) throw versionUnknown(text, views);
    return { version: versionToProto(view, pools), files: filesToProto(files) };
  };
}

function meant(reference: ModelReference, views: readonly VersionView[]): VersionView | undefined {
  const ready = views.filter(({ isReady }) => isReady);
  if (reference.kind === "version") return ready.find(({ version }) => version === reference.version);
  const alias = reference.kind === "alias" ? reference.alias : defaultAlias;
  return ready.find(({ aliases }) => aliases.includes(alias));
}

function versionUnknown(reference: string, views: readonly VersionView[]): FarmError {
  const names = views
    .flatMap(({ name, version, aliases }) => [...aliases.map((alias) => `${name}@${alias}`), `${name}:${version}`])
    .slice(0, 20);
  const remedy = names.length === 0 ? "push the model, or list the models that were pushed" : `choose one of: ${names.join(", ")}`;
  const fields = [{ field: "reference", reason: `"${reference.slice(0, 160)}" names no version that was pushed`, remedy }];
  return new FarmError("MODEL_VERSION_UNKNOWN", { message: fields[0]?.reason ?? "", details: { fields } });
}

/** The handler of DownloadModelChunk: checked on the way, so that who takes the end for success has the right bytes. */
export function createDownloadModelChunk({ store, artifacts }: VersionDependencies) {
  return async function* (asked: wire.DownloadModelChunkRequest): AsyncGenerator<wire.DownloadModelChunkResponse> {
    refuseAny(versionNameRules("", asked));
    if ((await store.chunkBytes(asked, asked.sha256)) === undefined) throw chunkUnknown(asked, asked.sha256.slice(0, 80));
    const bytes = await artifacts.get(asked.sha256);
    for await (const chunk of checked(inChunks(bytes, pieceBytes), asked.sha256)) yield wire.DownloadModelChunkResponse.create({ chunk });
  };
}

/** The handler of RemoveModelVersions. */
export function createRemoveModelVersions({ store }: VersionDependencies) {
  return async ({ name, keepSeconds, dryRun }: wire.RemoveModelVersionsRequest): Promise<wire.RemoveModelVersionsResponse> => {
    refuseAny([...optionalNameRules(name), ...numberRule("keep_seconds", { value: keepSeconds, min: 0, max: mostKeepSeconds })]);
    const fates = await store.removeVersions({ name: name === "" ? undefined : name, keepMs: Number(keepSeconds) * 1_000, isDry: dryRun });
    return { versions: fates.map(({ keptBy, sizeBytes, ...fate }) => ({ ...fate, sizeBytes: BigInt(sizeBytes), keptBy: keptBy ?? "" })) };
  };
}
