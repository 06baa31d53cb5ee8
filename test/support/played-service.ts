/**
 * The coordinator's HTTP side before a real gRPC server whose methods the test plays: bytes in, bytes out, by method name.
 *
 * What the HTTP side makes of requests and answers is seen without a database; that the coordinator's own methods are behind it is for the
 * tests on a whole coordinator.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createHttpSide, type HttpSideOptions } from "../../services/coordinator/http/http-side.ts";
import { FarmError } from "../../services/domain/errors.ts";
import { type CallContext, clientStream, serverStream, unary } from "../../services/platform/grpc/handlers.ts";
import { createGrpcServer } from "../../services/platform/grpc/server.ts";
import { createMetrics } from "../../services/platform/metrics.ts";
import { loadServiceMap, type RpcMethod } from "../../services/platform/protojson/service-map.ts";

export const descriptors = join(import.meta.dirname, "../../services/gen/farm.binpb");
export const serviceMap = loadServiceMap(readFileSync(descriptors), "vapfarm.v1.FarmService");
export const maxMessageBytes = 4 * 1024 * 1024;

export type UnaryHandler = (request: Buffer, context: CallContext) => Promise<Uint8Array>;
export type StreamHandler = (request: Buffer, context: CallContext) => AsyncIterable<Uint8Array>;
export type UploadHandler = (requests: AsyncIterable<Buffer>, context: CallContext) => Promise<Uint8Array>;

/** Handlers by method name; a method without one is INTERNAL. */
export type PlayedMethods = {
  readonly unary: Map<string, UnaryHandler>;
  readonly streams: Map<string, StreamHandler>;
  readonly uploads: Map<string, UploadHandler>;
};

/** A timer that the test moves. */
export class PlayedTimer {
  private readonly running = new Set<{ readonly ms: number; readonly tick: () => void }>();
  readonly every = (ms: number, tick: () => void): (() => void) => {
    const one = { ms, tick };
    this.running.add(one);
    return () => this.running.delete(one);
  };

  /** Lets every timer of this period tick once. */
  tick(ms: number): void {
    for (const one of this.running) if (one.ms === ms) one.tick();
  }

  get size(): number {
    return this.running.size;
  }
}

export type PlayedService = {
  readonly methods: PlayedMethods;
  readonly timer: PlayedTimer;
  /** E.g. `http://127.0.0.1:1234`. */
  readonly url: string;
  readonly port: number;
  /** Ends the gRPC server alone. */
  stopGrpc(): Promise<void>;
  stop(): Promise<void>;
};

type Overrides = Partial<Pick<HttpSideOptions, "body" | "publicUrl" | "needsCredentials">>;

export async function startPlayedService(overrides: Overrides = {}): Promise<PlayedService> {
  const methods: PlayedMethods = { unary: new Map(), streams: new Map(), uploads: new Map() };
  const timer = new PlayedTimer();
  const grpc = createGrpcServer({
    address: "127.0.0.1:0",
    services: [playedService(methods)],
    maxMessageBytes,
    reflection: undefined,
    drainMs: 100,
  });
  const http = createHttpSide({
    address: "127.0.0.1:0",
    ready: () => Promise.resolve(),
    metrics: createMetrics(),
    descriptors,
    grpcAddress: () => grpc.address(),
    maxMessageBytes,
    version: "0.0.0-test",
    publicUrl: undefined,
    needsCredentials: false,
    every: timer.every,
    ...overrides,
  });
  await grpc.start();
  await http.start();
  return {
    methods,
    timer,
    url: `http://${http.address()}`,
    port: Number(http.address().split(":")[1]),
    stopGrpc: () => grpc.stop(),
    async stop() {
      await http.stop();
      await grpc.stop();
    },
  };
}

function playedService(methods: PlayedMethods) {
  const same = (bytes: Buffer): Buffer => bytes;
  const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bytes = { requestSerialize: same, requestDeserialize: bytesGiven, responseSerialize: buffer, responseDeserialize: same };
  const entries = serviceMap.methods.map((method) => {
    const requestStream = method.kind === "client_streaming";
    const responseStream = method.kind === "server_streaming";
    return [method.name, { path: method.grpcPath, requestStream, responseStream, ...bytes }] as const;
  });
  const implementation = Object.fromEntries(serviceMap.methods.map((method) => [method.name, handlerOf(methods, method)]));
  return { name: "vapfarm.v1.FarmService", definition: Object.fromEntries(entries), implementation };
}

/** A server hands deserializers a reader of the bytes (`strict-reader.ts`): this service wants the bytes themselves. */
function bytesGiven(given: Uint8Array): Buffer {
  const bytes = given instanceof Uint8Array ? given : (Reflect.get(given, "buf") as Uint8Array);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function handlerOf(methods: PlayedMethods, { name, kind }: RpcMethod) {
  if (kind === "client_streaming") {
    return clientStream((requests: AsyncIterable<Buffer>, context) => played(methods.uploads, name)(requests, context));
  }
  if (kind === "server_streaming") return serverStream((request: Buffer, context) => played(methods.streams, name)(request, context));
  return unary((request: Buffer, context) => played(methods.unary, name)(request, context));
}

function played<T>(handlers: ReadonlyMap<string, T>, name: string): T {
  const handler = handlers.get(name);
  if (handler === undefined) throw new FarmError("INTERNAL", { message: `the test plays no ${name}` });
  return handler;
}

/** One method of the service. */
export function methodOf(name: string): RpcMethod {
  const method = serviceMap.methods.find((one) => one.name === name);
  if (method === undefined) throw new TypeError(`no method ${name}`);
  return method;
}
