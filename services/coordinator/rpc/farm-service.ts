/**
 * FarmService put together: each method with the role it needs.
 *
 * A role is the least that a method needs; what depends on the request besides (another tenant's usage, a hold of the farm) is the
 * method's own to refuse.
 */
import { FarmServiceService, type FarmServiceServer } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { PoolOfModels } from "../../domain/pool-of-model.ts";
import type { GrpcService } from "../../platform/grpc/server.ts";
import { createWatchJob, type WatchDependencies } from "../events/watch-job.ts";
import type { Aftermath, Store } from "../store/store-contract.ts";
import { type ArtifactUrlDependencies, createGetArtifactUrl } from "./artifact-url.ts";
import { type BeginDependencies, createBeginUpload, createGetUpload } from "./begin-upload.ts";
import { benchmarkMethods } from "./benchmarks.ts";
import { createDeleteBudget, createListBudgets, createSetBudget } from "./budgets.ts";
import { createDownloadArtifact, type DownloadDependencies } from "./download-artifact.ts";
import { createExplainJob } from "./explain-job.ts";
import { createListHolds, createPlaceHold, createReleaseHold } from "./holds.ts";
import { createListJobs } from "./list-jobs.ts";
import { createListRenders } from "./list-renders.ts";
import { type Call, createMethods, type MethodOptions, type Methods } from "./method.ts";
import { modelMethods, type ModelMethodOptions } from "./model-methods.ts";
import { createGetModel, createListModels } from "./models.ts";
import { createGetFarm, createGetUsage } from "./overview.ts";
import { createListPrices, createSetPrice } from "./prices.ts";
import { createGetJob, createGetRender, createListEvents } from "./read-jobs.ts";
import type { MediaResolver } from "./resolve-media.ts";
import type { MetricRepositories, ServedModels } from "./served-model.ts";
import { createCancelJob, createCancelRender, createRetryJob, createRetryRender, createUpdateJob } from "./steer-jobs.ts";
import type { Slots } from "../../platform/slots.ts";
import type { SubmitDependencies } from "./submission.ts";
import { createSubmitManifest, type ManifestDependencies } from "./submit-manifest.ts";
import { createSubmitRender } from "./submit-render.ts";
import { createSubmitRenders } from "./submit-renders.ts";
import { createListTenants, createUpdateTenant } from "./tenants.ts";
import { createUploadMedia, type UploadDependencies } from "./upload-media.ts";
import { createListFailures, createRetryTask } from "./failures.ts";
import {
  createClearWorker,
  createCordonWorker,
  createDrainWorker,
  createGetWorker,
  createListWorkers,
  createUncordonWorker,
} from "./workers.ts";

/** What methods work with; each takes of it what it needs. */
export type FarmServiceOptions = MethodOptions &
  Pick<SubmitDependencies, "newJobId" | "drawSeed" | "checkWebhook" | "submitSpans"> & {
    readonly store: Store;
    readonly models: ServedModels;
    readonly metrics: MetricRepositories;
    readonly media: MediaResolver;
    readonly pools: readonly (PoolOfModels & { readonly profile: string })[];
    readonly push: ModelMethodOptions["push"];
    readonly version: string;
    readonly now: () => Date;
    /** Called after each commit that others should hear of. */
    readonly onCommitted: (aftermath: Aftermath) => void;
    readonly watch: WatchDependencies;
    /** Submits that are answered at a time. */
    readonly submits: Slots;
    readonly manifest: Pick<ManifestDependencies, "manifests" | "temporaryFolder" | "idleMs">;
    readonly upload: UploadDependencies;
    readonly begin: BeginDependencies;
    readonly download: DownloadDependencies;
    readonly artifactUrl: ArtifactUrlDependencies;
  };

/** The service that clients meet. */
export function createFarmService(options: FarmServiceOptions): GrpcService {
  const methods = createMethods(options);
  const implementation: FarmServiceServer = {
    ...submitting(methods, options),
    ...reading(methods, options),
    ...steering(methods, options),
    ...holding(methods, options),
    ...transferring(methods, options),
    ...operating(methods, options),
    ...overviewing(methods, options),
    ...modelMethods(methods, options),
    ...accounting(methods, options),
    ...benchmarkMethods(methods, { ...options, ...options.manifest }),
  };
  return { name: "vapfarm.v1.FarmService", definition: FarmServiceService, implementation };
}

function submitting({ unary, clientStream }: Methods, options: FarmServiceOptions) {
  const bounded =
    <Q, A>(handler: (request: Q, call: Call) => Promise<A>) =>
    (request: Q, call: Call): Promise<A> =>
      options.submits.useNow("FARM_BUSY", () => handler(request, call));
  return {
    submitRender: unary({ name: "SubmitRender", needs: "member" }, bounded(createSubmitRender(options))),
    submitRenders: unary({ name: "SubmitRenders", needs: "member" }, bounded(createSubmitRenders(options))),
    submitManifest: clientStream({ name: "SubmitManifest", needs: "member" }, createSubmitManifest({ ...options, ...options.manifest })),
  };
}

function reading({ unary, serverStream }: Methods, options: FarmServiceOptions) {
  const { store } = options;
  return {
    getJob: unary({ name: "GetJob", needs: "reader" }, createGetJob(store)),
    listJobs: unary({ name: "ListJobs", needs: "reader" }, createListJobs(store)),
    getRender: unary({ name: "GetRender", needs: "reader" }, createGetRender(store)),
    listRenders: unary({ name: "ListRenders", needs: "reader" }, createListRenders(store)),
    listEvents: unary({ name: "ListEvents", needs: "reader" }, createListEvents(store)),
    watchJob: serverStream({ name: "WatchJob", needs: "reader" }, createWatchJob(options.watch)),
    explainJob: unary({ name: "ExplainJob", needs: "reader" }, createExplainJob(store)),
  } satisfies Partial<FarmServiceServer>;
}

function steering({ unary }: Methods, options: FarmServiceOptions) {
  return {
    cancelJob: unary({ name: "CancelJob", needs: "member" }, createCancelJob(options)),
    cancelRender: unary({ name: "CancelRender", needs: "member" }, createCancelRender(options)),
    retryJob: unary({ name: "RetryJob", needs: "member" }, createRetryJob(options)),
    retryRender: unary({ name: "RetryRender", needs: "member" }, createRetryRender(options)),
    updateJob: unary({ name: "UpdateJob", needs: "member" }, createUpdateJob(options)),
    listFailures: unary({ name: "ListFailures", needs: "reader" }, createListFailures(options.store)),
    retryTask: unary({ name: "RetryTask", needs: "member" }, createRetryTask(options)),
  };
}

function holding({ unary }: Methods, options: FarmServiceOptions) {
  const holds = { ...options, pools: options.pools.map(({ name }) => name) };
  return {
    placeHold: unary({ name: "PlaceHold", needs: "member" }, createPlaceHold(holds)),
    releaseHold: unary({ name: "ReleaseHold", needs: "member" }, createReleaseHold(holds)),
    listHolds: unary({ name: "ListHolds", needs: "reader" }, createListHolds(holds)),
  };
}

function transferring({ unary, clientStream, serverStream }: Methods, options: FarmServiceOptions) {
  return {
    beginUpload: unary({ name: "BeginUpload", needs: "member" }, createBeginUpload(options.begin)),
    getUpload: unary({ name: "GetUpload", needs: "member" }, createGetUpload(options.store)),
    uploadMedia: clientStream({ name: "UploadMedia", needs: "member" }, createUploadMedia(options.upload)),
    downloadArtifact: serverStream({ name: "DownloadArtifact", needs: "reader" }, createDownloadArtifact(options.download)),
    getArtifactUrl: unary({ name: "GetArtifactUrl", needs: "reader" }, createGetArtifactUrl(options.artifactUrl)),
  };
}

function operating({ unary }: Methods, options: FarmServiceOptions) {
  return {
    listWorkers: unary({ name: "ListWorkers", needs: "reader" }, createListWorkers(options)),
    getWorker: unary({ name: "GetWorker", needs: "reader" }, createGetWorker(options)),
    cordonWorker: unary({ name: "CordonWorker", needs: "admin" }, createCordonWorker(options)),
    uncordonWorker: unary({ name: "UncordonWorker", needs: "admin" }, createUncordonWorker(options)),
    drainWorker: unary({ name: "DrainWorker", needs: "admin" }, createDrainWorker(options)),
    listTenants: unary({ name: "ListTenants", needs: "reader" }, createListTenants(options.store)),
    updateTenant: unary({ name: "UpdateTenant", needs: "admin" }, createUpdateTenant(options.store)),
    clearWorker: unary({ name: "ClearWorker", needs: "admin" }, createClearWorker(options)),
  };
}

function overviewing({ unary }: Methods, options: FarmServiceOptions) {
  return {
    getFarm: unary({ name: "GetFarm", needs: "reader" }, createGetFarm(options)),
    listModels: unary({ name: "ListModels", needs: "reader" }, createListModels(options)),
    getModel: unary({ name: "GetModel", needs: "reader" }, createGetModel(options)),
    getUsage: unary({ name: "GetUsage", needs: "reader" }, createGetUsage(options)),
  };
}

function accounting({ unary }: Methods, { store, pools }: FarmServiceOptions) {
  return {
    setPrice: unary({ name: "SetPrice", needs: "admin" }, createSetPrice({ store, pools: pools.map(({ name }) => name) })),
    listPrices: unary({ name: "ListPrices", needs: "reader" }, createListPrices({ store })),
    setBudget: unary({ name: "SetBudget", needs: "admin" }, createSetBudget(store)),
    listBudgets: unary({ name: "ListBudgets", needs: "reader" }, createListBudgets(store)),
    deleteBudget: unary({ name: "DeleteBudget", needs: "admin" }, createDeleteBudget(store)),
  };
}
