/**
 * Calls as promises and async iterables: deadlines always set, failures as FarmErrors.
 */
import {
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  type ChannelCredentials,
  type ClientOptions,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { once } from "node:events";
import { FarmError } from "../../domain/errors.ts";
import { fromServiceError } from "./status.ts";

export type CallOptions = {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
};

type WireOptions = { readonly deadline: Date };

/** Constructor that ts-proto generates for a service. */
type ClientConstructor<C> = new (address: string, credentials: ChannelCredentials, options?: ClientOptions) => C;

/** A client of a service at `host:port` or `unix:/path`; connects with the first call. */
export function connectClient<C>(constructor: ClientConstructor<C>, address: string, maxMessageBytes: number): C {
  return new constructor(address, credentials.createInsecure(), {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
  });
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value);
  return metadata;
}

function wireOptions(options: CallOptions): WireOptions {
  return { deadline: new Date(Date.now() + options.deadlineMs) };
}

function cancelWith(call: { cancel(): void }, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  if (signal.aborted) call.cancel();
  else signal.addEventListener("abort", () => call.cancel(), { once: true });
}

/** A bound unary method, e.g. `client.getJob.bind(client)`. */
export type UnaryMethod<Q, A> = (
  ...call: [request: Q, metadata: Metadata, options: WireOptions, callback: (error: ServiceError | null, answer: A) => void]
) => ClientUnaryCall;

/** One request, one answer. */
export function callUnary<Q, A>(method: UnaryMethod<Q, A>, request: Q, options: CallOptions): Promise<A> {
  return new Promise((resolve, reject) => {
    const call = method(request, metadataOf(options), wireOptions(options), (error, answer) => {
      if (error === null) resolve(answer);
      else reject(fromServiceError(error));
    });
    cancelWith(call, options.signal);
  });
}

export type ServerStreamMethod<Q, A> = (request: Q, metadata: Metadata, options: WireOptions) => ClientReadableStream<A>;

/** One request, a stream of answers; leaving the loop early cancels the call. */
export async function* callServerStream<Q, A>(method: ServerStreamMethod<Q, A>, request: Q, options: CallOptions): AsyncGenerator<A> {
  const call = method(request, metadataOf(options), wireOptions(options));
  cancelWith(call, options.signal);
  try {
    for await (const answer of call) yield answer as A;
  } catch (thrown) {
    throw fromServiceError(thrown as ServiceError);
  } finally {
    call.cancel();
  }
}

export type ClientStreamMethod<Q, A> = (
  metadata: Metadata,
  options: WireOptions,
  callback: (error: ServiceError | null, answer: A) => void,
) => ClientWritableStream<Q>;

/** A stream of requests, one answer; an answer or failure that comes early ends the sending. */
export async function callClientStream<Q, A>(
  method: ClientStreamMethod<Q, A>,
  requests: AsyncIterable<Q> | Iterable<Q>,
  options: CallOptions,
): Promise<A> {
  const settled = Promise.withResolvers<A>();
  const ended = new AbortController();
  const call = method(metadataOf(options), wireOptions(options), (error, answer) => {
    ended.abort();
    if (error === null) settled.resolve(answer);
    else settled.reject(fromServiceError(error));
  });
  call.on("error", () => ended.abort());
  cancelWith(call, options.signal);
  sendAll(call, requests, ended.signal).catch((thrown: unknown) => {
    settled.reject(thrown instanceof Error ? thrown : new FarmError("INTERNAL", { cause: thrown }));
    call.cancel();
  });
  return settled.promise;
}

async function sendAll<Q>(call: ClientWritableStream<Q>, requests: AsyncIterable<Q> | Iterable<Q>, ended: AbortSignal): Promise<void> {
  for await (const request of requests) {
    if (ended.aborted) return;
    if (!call.write(request)) await drained(call, ended);
  }
  call.end();
}

async function drained<Q>(call: ClientWritableStream<Q>, ended: AbortSignal): Promise<void> {
  try {
    await once(call, "drain", { signal: ended });
  } catch (thrown) {
    if (!ended.aborted) throw thrown;
  }
}
