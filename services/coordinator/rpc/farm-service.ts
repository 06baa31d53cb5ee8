/**
 * FarmService put together: each method with the role it needs.
 */
import { FarmServiceService, type FarmServiceServer } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { GrpcService } from "../../platform/grpc/server.ts";
import { createWatchJob, type WatchDependencies } from "../events/watch-job.ts";
import type { OverviewStore } from "../store/store-contract.ts";
import { createDownloadArtifact, type DownloadDependencies } from "./download-artifact.ts";
import { type CancelDependencies, createCancelJob, createGetJob, createListWorkers } from "./jobs.ts";
import { createMethods, type MethodOptions } from "./method.ts";
import { createSubmitRender, type SubmitDependencies } from "./submit-render.ts";
import { createUploadMedia, type UploadDependencies } from "./upload-media.ts";

/** What each method works with. */
export type FarmServiceOptions = MethodOptions & {
  readonly submit: SubmitDependencies;
  readonly watch: WatchDependencies;
  readonly cancel: CancelDependencies;
  readonly upload: UploadDependencies;
  readonly download: DownloadDependencies;
  readonly overview: Pick<OverviewStore, "listWorkers">;
};

/** The service that clients meet. */
export function createFarmService(options: FarmServiceOptions): GrpcService {
  const methods = createMethods(options);
  const implementation: FarmServiceServer = {
    submitRender: methods.unary({ name: "SubmitRender", needs: "member" }, createSubmitRender(options.submit)),
    getJob: methods.unary({ name: "GetJob", needs: "reader" }, createGetJob(options.watch.store)),
    watchJob: methods.serverStream({ name: "WatchJob", needs: "reader" }, createWatchJob(options.watch)),
    cancelJob: methods.unary({ name: "CancelJob", needs: "member" }, createCancelJob(options.cancel)),
    uploadMedia: methods.clientStream({ name: "UploadMedia", needs: "member" }, createUploadMedia(options.upload)),
    downloadArtifact: methods.serverStream({ name: "DownloadArtifact", needs: "reader" }, createDownloadArtifact(options.download)),
    listWorkers: methods.unary({ name: "ListWorkers", needs: "reader" }, createListWorkers(options.overview)),
  };
  return { name: "vapfarm.v1.FarmService", definition: FarmServiceService, implementation };
}
