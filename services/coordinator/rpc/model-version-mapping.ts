/**
 * Versions of models and their aliases ↔ models.proto.
 */
import { violation, type Violations } from "../../domain/field-rules.ts";
import { isModelName, parseModelReference, pinnedReference } from "../../domain/model-reference.ts";
import type { VersionFile } from "../../domain/model-version.ts";
import { type PoolOfModels, poolOfModel } from "../../domain/pool-of-model.ts";
import * as wire from "../../gen/proto/vapfarm/v1/models.ts";
import type { AliasMove, AliasView, VersionName, VersionView } from "../store/store-contract.ts";

/** The farm's pools. */
export type PoolsOfModels = readonly PoolOfModels[];

/** A version as clients see it. */
export function versionToProto(view: VersionView, pools: PoolsOfModels): wire.ModelVersion {
  const { name, version, digest, label, kind, weights, aliases, liveJobs, workers, pushedBy } = view;
  return wire.ModelVersion.create({
    ...{ name, version, digest, label, kind, weights, liveJobs, workers, pushedBy },
    sizeBytes: BigInt(view.sizeBytes),
    ready: view.isReady,
    aliases: [...aliases],
    pool: poolOfModel(name, pools)?.name ?? "",
    pushTime: view.pushedAt,
    useTime: view.usedAt,
  });
}

/** Sizes that are no safe numbers become what `fileViolations` refuses. */
export function filesFromProto(files: readonly wire.ModelFile[]): readonly VersionFile[] {
  return files.map(({ path, sizeBytes, sha256, chunks }) => ({ path, bytes: Number(sizeBytes), sha256, chunks }));
}

export function filesToProto(files: readonly VersionFile[]): wire.ModelFile[] {
  return files.map(({ path, bytes, sha256, chunks }) => ({ path, sizeBytes: BigInt(bytes), sha256, chunks: [...chunks] }));
}

export function aliasToProto({ name, alias, version, movedBy, movedAt }: AliasView): wire.ModelAlias {
  return { name, alias, version, movedBy, moveTime: movedAt };
}

export function moveToProto({ name, alias, fromVersion, toVersion, movedBy, movedAt }: AliasMove): wire.ModelAliasMove {
  return { name, alias, fromVersion: fromVersion ?? "", toVersion: toVersion ?? "", movedBy, moveTime: movedAt };
}

/** What is wrong with the two fields that name a version; `at`: what they are part of, or nothing. */
export function versionNameRules(at: string, { name, version }: VersionName): Violations {
  const prefix = at === "" ? "" : `${at}.`;
  if (!isModelName(name)) return [violation(`${prefix}name`, "is no name of a model", "name the model")];
  if (parseModelReference(pinnedReference(name, version)) !== undefined) return [];
  return [violation(`${prefix}version`, "is no version", "name it by its 12 digits, as `vapfarm models versions` lists it")];
}

/** What is wrong with a name that may be left out. */
export function optionalNameRules(name: string): Violations {
  return name === "" || isModelName(name) ? [] : [violation("name", "is no name of a model", "name the model, or leave it out for all")];
}
