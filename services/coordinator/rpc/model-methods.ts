/**
 * The methods of versions of models: who may call them, and what they work with.
 */
import type { FarmServiceServer } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { Methods } from "./method.ts";
import { type AliasDependencies, createListModelAliases, createSetModelAlias } from "./model-aliases.ts";
import { createBeginModelPush, createFinishModelPush, createUploadModelChunk, type PushDependencies } from "./model-pushes.ts";
import {
  createDownloadModelChunk,
  createGetModelVersion,
  createListModelVersions,
  createRemoveModelVersions,
  type VersionDependencies,
} from "./model-versions.ts";

/** What the coordinator brings. */
export type ModelMethodOptions = {
  readonly store: PushDependencies["store"] & VersionDependencies["store"] & AliasDependencies["store"];
  readonly pools: PushDependencies["pools"];
  readonly push: Omit<PushDependencies, "store" | "pools" | "artifacts"> & {
    readonly artifacts: PushDependencies["artifacts"] & VersionDependencies["artifacts"];
  };
};

/** The methods, by name. */
export function modelMethods({ unary, clientStream, serverStream }: Methods, { store, pools, push }: ModelMethodOptions) {
  const pushing = { ...push, store, pools };
  return {
    beginModelPush: unary({ name: "BeginModelPush", needs: "admin" }, createBeginModelPush(pushing)),
    uploadModelChunk: clientStream({ name: "UploadModelChunk", needs: "admin" }, createUploadModelChunk(pushing)),
    finishModelPush: unary({ name: "FinishModelPush", needs: "admin" }, createFinishModelPush(pushing)),
    listModelVersions: unary({ name: "ListModelVersions", needs: "reader" }, createListModelVersions(pushing)),
    getModelVersion: unary({ name: "GetModelVersion", needs: "reader" }, createGetModelVersion(pushing)),
    downloadModelChunk: serverStream({ name: "DownloadModelChunk", needs: "reader" }, createDownloadModelChunk(pushing)),
    setModelAlias: unary({ name: "SetModelAlias", needs: "admin" }, createSetModelAlias({ store })),
    listModelAliases: unary({ name: "ListModelAliases", needs: "reader" }, createListModelAliases({ store })),
    removeModelVersions: unary({ name: "RemoveModelVersions", needs: "admin" }, createRemoveModelVersions(pushing)),
  } satisfies Partial<FarmServiceServer>;
}
