/**
 * A FarmService of a few lines over real gRPC: answers that a test writes, every call noted, so that a test can play what a farm and the
 * network between do to a client.
 */
import { createHash } from "node:crypto";
import {
  Artifact,
  BeginUploadResponse,
  type DeepPartial,
  FarmServiceService,
  GetUploadResponse,
  Job,
  JobState,
  type UploadMediaRequest,
  type UploadMediaResponse,
} from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { FarmError } from "../../services/domain/errors.ts";
import { clientStream, serverStream, unary } from "../../services/platform/grpc/handlers.ts";
import { createGrpcServer } from "../../services/platform/grpc/server.ts";

type Methods = typeof FarmServiceService;
export type MethodName = keyof Methods;

/** What a handler is given, and what it answers: the message, or a stream of them. */
type Handler = (request: never) => unknown;

export type ScriptedFarm = {
  readonly address: string;
  /** Names and requests, in the order of their arrival. */
  readonly calls: { readonly method: MethodName; readonly request: unknown }[];
  /** Requests of one method. */
  requests(method: MethodName): readonly unknown[];
  stop(): Promise<void>;
};

export type Handlers = Partial<Record<MethodName, Handler>>;

/** Starts it on a free port of loopback, or on the address of one that was stopped. Methods without a handler answer that they are unknown. */
export async function startScriptedFarm(handlers: Handlers, address = "127.0.0.1:0"): Promise<ScriptedFarm> {
  const calls: ScriptedFarm["calls"] = [];
  const server = createGrpcServer({
    address,
    services: [{ name: "vapfarm.v1.FarmService", definition: FarmServiceService, implementation: implement(handlers, calls) }],
    maxMessageBytes: 4 * 1024 ** 2,
    reflection: undefined,
    drainMs: 0,
  });
  await server.start();
  return {
    address: server.address(),
    calls,
    requests: (method) => calls.filter((call) => call.method === method).map(({ request }) => request),
    stop: () => server.stop(),
  };
}

function implement(handlers: Handlers, calls: ScriptedFarm["calls"]) {
  const names = Object.keys(FarmServiceService) as MethodName[];
  return Object.fromEntries(names.map((method) => [method, handlerOf(method, handlers[method], calls)]));
}

function handlerOf(method: MethodName, handler: Handler | undefined, calls: ScriptedFarm["calls"]) {
  const answer = (request: unknown): unknown => {
    calls.push({ method, request });
    if (handler === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: `${method} is not scripted` });
    return handler(request as never);
  };
  const { requestStream, responseStream } = FarmServiceService[method];
  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is a rejection
  if (requestStream) return clientStream(async (requests: AsyncIterable<unknown>) => answer(requests));
  if (responseStream) {
    return serverStream(async function* (request: unknown) {
      yield* answer(request) as AsyncIterable<unknown>;
    });
  }
  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is a rejection
  return unary(async (request: unknown) => answer(request));
}

/** A job with everything else absent. */
export function scriptedJob(change: DeepPartial<Job> = {}): Job {
  return Job.create({ jobId: "job-1", tenant: "local", state: JobState.JOB_STATE_SUCCEEDED, lastEventNumber: 3n, ...change });
}

/** Uploads as the farm keeps them: bytes that arrived stay, and once a file is there every other is too. `cutAfter` bytes the stream breaks, once for each number. */
export function scriptedUploads(cutAfter: number[]): Handlers & { readonly stored: () => Buffer } {
  let stored = Buffer.alloc(0);
  let announced = { sha256: "", sizeBytes: 0n };
  let media: UploadMediaResponse | undefined;
  const known = () => (media === undefined ? undefined : { ...media, sha256: announced.sha256 });
  const upload = () => ({
    uploadId: "upload-1",
    receivedBytes: BigInt(stored.length),
    sizeBytes: announced.sizeBytes,
    media: known(),
  });
  return {
    stored: () => stored,
    beginUpload(request: { sha256?: string; sizeBytes: bigint }) {
      announced = { sha256: request.sha256 ?? "", sizeBytes: request.sizeBytes };
      return BeginUploadResponse.create({ upload: upload() });
    },
    getUpload: () => GetUploadResponse.create({ upload: upload() }),
    async uploadMedia(messages: AsyncIterable<UploadMediaRequest>) {
      const cut = cutAfter.shift();
      for await (const { part } of messages) {
        if (part?.$case === "header" && part.value.offsetBytes !== BigInt(stored.length)) throw new FarmError("UPLOAD_PROTOCOL");
        if (part?.$case === "chunk") stored = Buffer.concat([stored, part.value]);
        if (cut !== undefined && stored.length >= cut) throw new FarmError("COORDINATOR_UNAVAILABLE");
      }
      const sha256 = createHash("sha256").update(stored).digest("hex");
      if (sha256 !== announced.sha256) throw new FarmError("UPLOAD_CHECKSUM_MISMATCH");
      media = { sha256, sizeBytes: BigInt(stored.length), kind: "image", width: 8, height: 8, frames: 1 };
      return media;
    },
  };
}

/** An artifact of these bytes, in chunks of `chunkBytes`; each number of `cutAfter` breaks one stream after so many bytes. */
export function scriptedDownload(
  bytes: Buffer,
  { chunkBytes, cutAfter }: { readonly chunkBytes: number; readonly cutAfter: number[] },
): Handlers {
  const artifact = Artifact.create({
    name: "mp4",
    sha256: createHash("sha256").update(bytes).digest("hex"),
    sizeBytes: BigInt(bytes.length),
    mediaType: "video/mp4",
  });
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream
    async *downloadArtifact(request: { offsetBytes: bigint; lengthBytes: bigint }) {
      const cut = cutAfter.shift();
      const start = Number(request.offsetBytes);
      const end = request.lengthBytes === 0n ? bytes.length : Math.min(bytes.length, start + Number(request.lengthBytes));
      yield { artifact, chunk: Buffer.alloc(0) };
      for (let at = start; at < end; at += chunkBytes) {
        if (cut !== undefined && at - start >= cut) throw new FarmError("COORDINATOR_UNAVAILABLE");
        yield { chunk: bytes.subarray(at, Math.min(end, at + chunkBytes)) };
      }
    },
  };
}
