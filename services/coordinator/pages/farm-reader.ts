/**
 * What pages read: FarmService's reading methods, called as the visitor.
 *
 * Why over gRPC to the coordinator's own server: authorization, validation and wording of failures exist once, for programs and pages
 * alike. A page can show nothing that its visitor could not ask for.
 */
import { FarmError } from "../../domain/errors.ts";
import {
  type FarmServiceClient,
  GetArtifactUrlRequest,
  type Job,
  type JobEvent,
  ListEventsRequest,
  ListFailuresRequest,
  type ListFailuresResponse,
  ListJobsRequest,
  type ListJobsResponse,
  ListRendersRequest,
  type ListRendersResponse,
  ListWorkersRequest,
  type ExplainJobResponse,
  type GetArtifactUrlResponse,
  type Render,
  type Worker,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import { type Farm, GetUsageRequest, type GetUsageResponse, type Model } from "../../gen/proto/vapfarm/v1/operator.ts";
import { callUnary, type CallOptions } from "../../platform/grpc/client.ts";

/** A page of a job's log. */
export type EventPage = { readonly events: readonly JobEvent[]; readonly hasMore: boolean };

/** Reading, on behalf of one visitor. */
export type FarmReader = {
  farm(): Promise<Farm>;
  workers(): Promise<readonly Worker[]>;
  worker(workerId: string): Promise<Worker>;
  models(): Promise<readonly Model[]>;
  usage(request: Partial<GetUsageRequest>): Promise<GetUsageResponse>;
  jobs(request: Partial<ListJobsRequest>): Promise<ListJobsResponse>;
  job(jobId: string): Promise<Job>;
  renders(request: Partial<ListRendersRequest>): Promise<ListRendersResponse>;
  render(jobId: string, position: number): Promise<Render>;
  events(request: Partial<ListEventsRequest>): Promise<EventPage>;
  failures(request: Partial<ListFailuresRequest>): Promise<ListFailuresResponse>;
  explain(jobId: string, renderPosition: number | undefined): Promise<ExplainJobResponse>;
  artifactUrl(request: Partial<GetArtifactUrlRequest>): Promise<GetArtifactUrlResponse>;
};

const callMs = 10_000;

/** Who reads, and until when. */
export type ReaderOptions = { readonly authorization: string | undefined; readonly signal: AbortSignal };

/** Reads through a client as whom the authorization names. */
export function createFarmReader(client: FarmServiceClient, { authorization, signal }: ReaderOptions): FarmReader {
  const headers = authorization === undefined ? {} : { authorization };
  const options: CallOptions = { deadlineMs: callMs, headers, signal };
  return {
    farm: async () => present((await callUnary(client.getFarm.bind(client), {}, options)).farm, "farm"),
    workers: async () => (await callUnary(client.listWorkers.bind(client), ListWorkersRequest.create(), options)).workers,
    worker: async (workerId) => present((await callUnary(client.getWorker.bind(client), { workerId }, options)).worker, "worker"),
    models: async () => (await callUnary(client.listModels.bind(client), {}, options)).models,
    usage: (request) => callUnary(client.getUsage.bind(client), GetUsageRequest.create(request), options),
    jobs: (request) => callUnary(client.listJobs.bind(client), ListJobsRequest.create(request), options),
    job: async (jobId) => present((await callUnary(client.getJob.bind(client), { jobId, readMask: undefined }, options)).job, "job"),
    renders: (request) => callUnary(client.listRenders.bind(client), ListRendersRequest.create(request), options),
    render: async (jobId, position) =>
      present((await callUnary(client.getRender.bind(client), { jobId, position }, options)).render, "render"),
    events: (request) => callUnary(client.listEvents.bind(client), ListEventsRequest.create(request), options),
    failures: (request) => callUnary(client.listFailures.bind(client), ListFailuresRequest.create(request), options),
    explain: (jobId, renderPosition) => callUnary(client.explainJob.bind(client), { jobId, renderPosition }, options),
    artifactUrl: (request) => callUnary(client.getArtifactUrl.bind(client), GetArtifactUrlRequest.create(request), options),
  };
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: `the farm's answer has no ${what}` });
  return value;
}
