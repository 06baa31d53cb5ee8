/**
 * The farm's gRPC service as the CLI uses it: deadlines on every call, uploads and downloads as files.
 *
 * A farm that does not answer is COORDINATOR_UNAVAILABLE naming the address and where it came from.
 */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { FarmError, toFarmError } from "../domain/errors.ts";
import {
  type Artifact,
  FarmServiceClient,
  type Job,
  type SubmitRenderRequest,
  type UploadMediaRequest,
  type UploadMediaResponse,
  type WatchJobResponse,
  type Worker,
} from "../gen/proto/vapfarm/v1/farm.ts";
import { type CallOptions, callClientStream, callServerStream, callUnary, connectClient } from "../platform/grpc/client.ts";
import { readChunks, writeVerified } from "./file-transfer.ts";

export type FarmEndpoint = {
  readonly address: string;
  /** Where the address came from, for messages. */
  readonly origin: string;
  readonly token: string | undefined;
};

type UploadOptions = { readonly signal: AbortSignal; readonly onProgress: (sentBytes: number, totalBytes: number) => void };

export type FarmClient = {
  readonly endpoint: FarmEndpoint;
  upload(path: string, options: UploadOptions): Promise<UploadMediaResponse>;
  submit(request: SubmitRenderRequest, signal: AbortSignal): Promise<Job>;
  getJob(jobId: string): Promise<Job>;
  /** Events after a number and live progress; ends when the job ended. */
  watch(jobId: string, afterEventNumber: bigint, signal: AbortSignal): AsyncGenerator<WatchJobResponse>;
  cancel(jobId: string): Promise<Job>;
  /** Writes the artifact's file whole or not at all, its hash checked. */
  download(artifact: { readonly jobId: string; readonly name: string; readonly path: string }, signal: AbortSignal): Promise<Artifact>;
  listWorkers(): Promise<readonly Worker[]>;
  close(): void;
};

const maxMessageBytes = 4 * 1024 ** 2;
const callMs = 30_000;
const transferMs = 3_600_000;
const watchMs = 3_600_000;

/** Connects with the first call. */
export function openFarmClient(endpoint: FarmEndpoint): FarmClient {
  const client = connectClient(FarmServiceClient, endpoint.address, maxMessageBytes);
  const headers = endpoint.token === undefined ? {} : { authorization: `Bearer ${endpoint.token}` };
  const options = (deadlineMs: number, signal?: AbortSignal): CallOptions =>
    signal === undefined ? { deadlineMs, headers } : { deadlineMs, headers, signal };
  const named = <T>(call: Promise<T>): Promise<T> => call.catch((thrown: unknown) => Promise.reject(nameEndpoint(thrown, endpoint)));
  const oneJob = async (call: Promise<{ job?: Job | undefined }>): Promise<Job> => requireJob(await named(call));
  return {
    endpoint,
    upload: (path, { signal, onProgress }) =>
      named(callClientStream(client.uploadMedia.bind(client), uploadParts(path, onProgress), options(transferMs, signal))),
    submit: (request, signal) => oneJob(callUnary(client.submitRender.bind(client), request, options(callMs, signal))),
    getJob: (jobId) => oneJob(callUnary(client.getJob.bind(client), { jobId }, options(callMs))),
    cancel: (jobId) => oneJob(callUnary(client.cancelJob.bind(client), { jobId }, options(callMs))),
    watch: (jobId, afterEventNumber, signal) =>
      namedStream(callServerStream(client.watchJob.bind(client), { jobId, afterEventNumber }, options(watchMs, signal)), endpoint),
    download: ({ jobId, name, path }, signal) => {
      const stream = callServerStream(client.downloadArtifact.bind(client), { jobId, name }, options(transferMs, signal));
      return named(writeVerified(path, stream));
    },
    listWorkers: async () => (await named(callUnary(client.listWorkers.bind(client), {}, options(callMs)))).workers,
    close: () => client.close(),
  };
}

async function* uploadParts(path: string, onProgress: UploadOptions["onProgress"]): AsyncGenerator<UploadMediaRequest> {
  const { size } = await stat(path);
  yield { part: { $case: "header", value: { fileName: basename(path), sizeBytes: BigInt(size) } } };
  let sentBytes = 0;
  for await (const chunk of readChunks(path)) {
    yield { part: { $case: "chunk", value: chunk } };
    sentBytes += chunk.length;
    onProgress(sentBytes, size);
  }
}

function requireJob(answer: { readonly job?: Job | undefined }): Job {
  if (answer.job === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the farm's answer has no job" });
  return answer.job;
}

function nameEndpoint(thrown: unknown, endpoint: FarmEndpoint): FarmError {
  const error = toFarmError(thrown);
  if (error.code !== "COORDINATOR_UNAVAILABLE") return error;
  const remedy = "start a farm with `vapfarm up`, or name one with --address or VAPFARM_ADDRESS";
  return new FarmError("COORDINATOR_UNAVAILABLE", {
    message: `no farm answers at ${endpoint.address} (${endpoint.origin})`,
    details: { remedy },
    cause: error,
  });
}

async function* namedStream<T>(stream: AsyncGenerator<T>, endpoint: FarmEndpoint): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (thrown) {
    throw nameEndpoint(thrown, endpoint);
  }
}
