/**
 * Every call of FarmService as the proto states it: a request whose absent fields are their defaults, an answer as generated.
 *
 * A deadline is always set, and a failure is a FarmError with the farm's code and fields. Nothing is tried again here.
 */
import {
  BeginUploadRequest,
  CancelJobRequest,
  CancelRenderRequest,
  CordonWorkerRequest,
  type DeepPartial,
  DownloadArtifactRequest,
  DrainWorkerRequest,
  ExplainJobRequest,
  type FarmServiceClient,
  type FarmServiceService,
  GetArtifactUrlRequest,
  GetJobRequest,
  GetRenderRequest,
  GetUploadRequest,
  GetWorkerRequest,
  ListEventsRequest,
  ListJobsRequest,
  ListRendersRequest,
  ListWorkersRequest,
  RetryJobRequest,
  RetryRenderRequest,
  SubmitRenderRequest,
  SubmitRendersRequest,
  UncordonWorkerRequest,
  UpdateJobRequest,
  WatchJobRequest,
} from "../gen/proto/vapfarm/v1/farm.ts";
import {
  GetFarmRequest,
  GetModelRequest,
  GetUsageRequest,
  ListHoldsRequest,
  ListModelsRequest,
  PlaceHoldRequest,
  ReleaseHoldRequest,
} from "../gen/proto/vapfarm/v1/operator.ts";
import {
  type CallOptions,
  callClientStream,
  callServerStream,
  callUnary,
  type ServerStreamMethod,
  type UnaryMethod,
} from "../platform/grpc/client.ts";

/** What a caller decides about one call. */
export type CallControl = {
  readonly signal?: AbortSignal | undefined;
  /** Else 30 seconds for one answer, an hour for a stream. */
  readonly deadlineMs?: number | undefined;
};

type Methods = typeof FarmServiceService;
type RequestOf<M> = M extends { requestSerialize: (value: infer Q) => Buffer } ? Q : never;
type AnswerOf<M> = M extends { responseDeserialize: (value: Buffer) => infer A } ? A : never;
type CallOf<M> = M extends { requestStream: true }
  ? (requests: AsyncIterable<RequestOf<M>>, control?: CallControl) => Promise<AnswerOf<M>>
  : M extends { responseStream: true }
    ? (request: DeepPartial<RequestOf<M>>, control?: CallControl) => AsyncGenerator<AnswerOf<M>>
    : (request: DeepPartial<RequestOf<M>>, control?: CallControl) => Promise<AnswerOf<M>>;

/** One method for every RPC, under its name. */
export type FarmCalls = { readonly [Name in keyof Methods]: CallOf<Methods[Name]> };

/** What all calls of one client share. */
export type CallDefaults = {
  readonly headers: Readonly<Record<string, string>>;
  /** What a caller is told instead of a failure, e.g. one that names the address. */
  readonly explain: (thrown: unknown) => unknown;
};

const unaryMs = 30_000;
const batchMs = 120_000;
const streamMs = 3_600_000;

type Message<Q> = { fromPartial(request: DeepPartial<Q>): Q };

/** The calls over a connected client. */
export function farmCalls(wire: FarmServiceClient, defaults: CallDefaults): FarmCalls {
  const { unary, serverStream } = callers(defaults);
  return {
    submitRender: unary(wire.submitRender.bind(wire), SubmitRenderRequest),
    submitRenders: unary(wire.submitRenders.bind(wire), SubmitRendersRequest, batchMs),
    getJob: unary(wire.getJob.bind(wire), GetJobRequest),
    listJobs: unary(wire.listJobs.bind(wire), ListJobsRequest),
    getRender: unary(wire.getRender.bind(wire), GetRenderRequest),
    listRenders: unary(wire.listRenders.bind(wire), ListRendersRequest),
    listEvents: unary(wire.listEvents.bind(wire), ListEventsRequest),
    watchJob: serverStream(wire.watchJob.bind(wire), WatchJobRequest),
    cancelJob: unary(wire.cancelJob.bind(wire), CancelJobRequest),
    cancelRender: unary(wire.cancelRender.bind(wire), CancelRenderRequest),
    retryJob: unary(wire.retryJob.bind(wire), RetryJobRequest),
    retryRender: unary(wire.retryRender.bind(wire), RetryRenderRequest),
    updateJob: unary(wire.updateJob.bind(wire), UpdateJobRequest),
    explainJob: unary(wire.explainJob.bind(wire), ExplainJobRequest),
    placeHold: unary(wire.placeHold.bind(wire), PlaceHoldRequest),
    releaseHold: unary(wire.releaseHold.bind(wire), ReleaseHoldRequest),
    listHolds: unary(wire.listHolds.bind(wire), ListHoldsRequest),
    beginUpload: unary(wire.beginUpload.bind(wire), BeginUploadRequest),
    getUpload: unary(wire.getUpload.bind(wire), GetUploadRequest),
    uploadMedia: (requests, control) =>
      callClientStream(wire.uploadMedia.bind(wire), requests, optionsOf(defaults, control, streamMs)).catch((thrown: unknown) =>
        Promise.reject(explained(defaults, thrown)),
      ),
    downloadArtifact: serverStream(wire.downloadArtifact.bind(wire), DownloadArtifactRequest),
    getArtifactUrl: unary(wire.getArtifactUrl.bind(wire), GetArtifactUrlRequest),
    listWorkers: unary(wire.listWorkers.bind(wire), ListWorkersRequest),
    getWorker: unary(wire.getWorker.bind(wire), GetWorkerRequest),
    cordonWorker: unary(wire.cordonWorker.bind(wire), CordonWorkerRequest),
    uncordonWorker: unary(wire.uncordonWorker.bind(wire), UncordonWorkerRequest),
    drainWorker: unary(wire.drainWorker.bind(wire), DrainWorkerRequest),
    getFarm: unary(wire.getFarm.bind(wire), GetFarmRequest),
    listModels: unary(wire.listModels.bind(wire), ListModelsRequest),
    getModel: unary(wire.getModel.bind(wire), GetModelRequest),
    getUsage: unary(wire.getUsage.bind(wire), GetUsageRequest),
  };
}

function callers(defaults: CallDefaults) {
  const unary =
    <Q, A>(method: UnaryMethod<Q, A>, message: Message<Q>, deadlineMs = unaryMs) =>
    (request: DeepPartial<Q>, control?: CallControl): Promise<A> =>
      callUnary(method, message.fromPartial(request), optionsOf(defaults, control, deadlineMs)).catch((thrown: unknown) =>
        Promise.reject(explained(defaults, thrown)),
      );
  const serverStream = <Q, A>(method: ServerStreamMethod<Q, A>, message: Message<Q>) =>
    async function* (request: DeepPartial<Q>, control?: CallControl): AsyncGenerator<A> {
      try {
        yield* callServerStream(method, message.fromPartial(request), optionsOf(defaults, control, streamMs));
      } catch (thrown) {
        throw explained(defaults, thrown);
      }
    };
  return { unary, serverStream };
}

function explained(defaults: CallDefaults, thrown: unknown): Error {
  return defaults.explain(thrown) as Error;
}

function optionsOf({ headers }: CallDefaults, control: CallControl | undefined, deadlineMs: number): CallOptions {
  const options = { deadlineMs: control?.deadlineMs ?? deadlineMs, headers };
  return control?.signal === undefined ? options : { ...options, signal: control.signal };
}
