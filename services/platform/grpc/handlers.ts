/**
 * Handlers as plain async functions: a FarmError thrown becomes its status, the caller's deadline and
 * cancellation become one AbortSignal, and streams respect back-pressure.
 */
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from "@grpc/grpc-js";
import { once } from "node:events";
import { toServiceError } from "./status.ts";

/** What a handler knows of its call beside the request. */
export type CallContext = {
  /** Aborts when the caller goes, cancels or its deadline passes. */
  readonly signal: AbortSignal;
  /** First value of a metadata key, as text. */
  header(name: string): string | undefined;
  readonly peer: string;
};

type AnyCall = ServerUnaryCall<never, never> | ServerReadableStream<never, never> | ServerWritableStream<never, never>;

function contextOf(call: Pick<AnyCall, "metadata" | "getPeer"> & { on(event: "cancelled", listener: () => void): unknown }): CallContext {
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort());
  return {
    signal: controller.signal,
    header: (name) => call.metadata.get(name)[0]?.toString(),
    peer: call.getPeer(),
  };
}

/** One request, one answer. */
export function unary<Q, A>(handler: (request: Q, context: CallContext) => Promise<A>): handleUnaryCall<Q, A> {
  return (call, callback) => {
    handler(call.request, contextOf(call)).then(
      (answer) => callback(null, answer),
      (thrown: unknown) => callback(toServiceError(thrown)),
    );
  };
}

/** One request, a stream of answers; the iterable is ended early when the caller goes. */
export function serverStream<Q, A>(handler: (request: Q, context: CallContext) => AsyncIterable<A>): handleServerStreamingCall<Q, A> {
  return (call) => {
    const context = contextOf(call);
    writeAll(call, handler(call.request, context), context.signal).then(
      () => call.end(),
      // Destroying the stream would end it without its status.
      (thrown: unknown) => call.emit("error", toServiceError(thrown)),
    );
  };
}

async function writeAll<Q, A>(call: ServerWritableStream<Q, A>, answers: AsyncIterable<A>, signal: AbortSignal): Promise<void> {
  try {
    for await (const answer of answers) {
      if (signal.aborted) return;
      if (!call.write(answer)) await once(call, "drain", { signal });
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

/** A stream of requests, one answer. */
export function clientStream<Q, A>(
  handler: (requests: AsyncIterable<Q>, context: CallContext) => Promise<A>,
): handleClientStreamingCall<Q, A> {
  return (call, callback) => {
    handler(call as AsyncIterable<Q>, contextOf(call)).then(
      (answer) => callback(null, answer),
      (thrown: unknown) => callback(toServiceError(thrown)),
    );
  };
}
