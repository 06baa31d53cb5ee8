/**
 * Handlers as plain async functions: a FarmError thrown becomes its status, the caller's deadline and
 * cancellation become one AbortSignal, and streams respect back-pressure. A unary call that nobody waits for any more ends at once.
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
import { FarmError } from "../../domain/errors.ts";
import type { TraceContext } from "../tracing/trace-context.ts";
import { allWellFormed, wellFormed } from "./malformed-request.ts";
import { toServiceError } from "./status.ts";

/** What a handler knows of its call beside the request. */
export type CallContext = {
  /** Aborts when the caller goes, cancels or its deadline passes; its reason is the FarmError that says which. */
  readonly signal: AbortSignal;
  /** First value of a metadata key, as text. */
  header(name: string): string | undefined;
  readonly peer: string;
  /** Where the call stands in a trace, as what stands around its work says. */
  readonly trace?: TraceContext | undefined;
};

type AnyCall = ServerUnaryCall<never, never> | ServerReadableStream<never, never> | ServerWritableStream<never, never>;

type Cancellable = Pick<AnyCall, "metadata" | "getPeer" | "getDeadline" | "cancelled"> & {
  on(event: "cancelled", listener: () => void): unknown;
};

/** A deadline needs no timer here: the server ends a call that has passed it, which cancels the call. */
function contextOf(call: Cancellable): CallContext {
  const controller = new AbortController();
  const abort = (): void => controller.abort(reasonOf(call));
  call.on("cancelled", abort);
  if (call.cancelled || hasPassed(call)) abort();
  return {
    signal: controller.signal,
    header: (name) => call.metadata.get(name)[0]?.toString(),
    peer: call.getPeer(),
  };
}

function reasonOf(call: Cancellable): FarmError {
  return hasPassed(call)
    ? new FarmError("DEADLINE_PASSED")
    : new FarmError("STAGE_CANCELLED", { message: "the caller cancelled the call" });
}

function hasPassed(call: Cancellable): boolean {
  return Number(call.getDeadline()) <= Date.now();
}

/**
 * What stands around the work of each call, its reading included: it may add to what the handler knows of the call, sees how the work ends and
 * lets that through.
 */
export type Around = <T>(context: CallContext, work: (context: CallContext) => Promise<T>) => Promise<T>;

const nothingAround: Around = (context, work) => work(context);

/** What is thrown at once rejects too. */
async function settled<T>(work: () => Promise<T>): Promise<T> {
  return work();
}

/** One request, one answer. */
export function unary<Q, A>(
  handler: (request: Q, context: CallContext) => Promise<A>,
  around: Around = nothingAround,
): handleUnaryCall<Q, A> {
  return (call, callback) => {
    settled(() => around(contextOf(call), async (context) => handler(wellFormed(call.request), context))).then(
      (answer) => callback(null, answer),
      (thrown: unknown) => callback(toServiceError(thrown)),
    );
  };
}

/** The work's outcome, or the signal's reason as soon as nobody waits for it any more; then work that has not begun does not begin. */
export async function whileWaitedFor<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const gone = Promise.withResolvers<never>();
  const leave = (): void => gone.reject(signal.reason as FarmError);
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work(), gone.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** One request, a stream of answers; the iterable is ended early when the caller goes. */
export function serverStream<Q, A>(
  handler: (request: Q, context: CallContext) => AsyncIterable<A>,
  around: Around = nothingAround,
): handleServerStreamingCall<Q, A> {
  return (call) => {
    const context = contextOf(call);
    const work = async (known: CallContext): Promise<void> => {
      await writeAll(call, handler(wellFormed(call.request), known), context.signal);
      // Whoever stands around hears that the caller went; nobody else does.
      context.signal.throwIfAborted();
    };
    settled(() => around(context, work)).then(
      () => call.end(),
      (thrown: unknown) => {
        if (context.signal.aborted) call.end();
        // Destroying the stream would end it without its status.
        else call.emit("error", toServiceError(thrown));
      },
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
  around: Around = nothingAround,
): handleClientStreamingCall<Q, A> {
  return (call, callback) => {
    around(contextOf(call), (context) => handler(allWellFormed(call as AsyncIterable<Q>), context)).then(
      (answer) => callback(null, answer),
      (thrown: unknown) => callback(toServiceError(thrown)),
    );
  };
}
