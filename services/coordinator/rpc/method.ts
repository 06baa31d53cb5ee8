/**
 * What every method of FarmService has around its own work: the caller and its role, metrics by outcome, a log line for what should
 * not happen.
 */
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import { type CallContext, clientStream, serverStream, unary, whileWaitedFor } from "../../platform/grpc/handlers.ts";
import type { Logger } from "../../platform/logging.ts";
import { parseTraceparent, type TraceContext, traceparentHeader } from "../../platform/tracing/trace-context.ts";
import { noTracer, type Tracer } from "../../platform/tracing/tracer.ts";
import { type Caller, type CallerLookup, requireRole, type Role } from "./caller.ts";

/** One call: who asks, when it must stop, and where it stands in a trace of its caller's. */
export type Call = { readonly caller: Caller; readonly signal: AbortSignal; readonly trace?: TraceContext | undefined };

/** What the wrappers of all methods share. */
export type MethodOptions = {
  readonly callers: CallerLookup;
  readonly logger: Logger;
  /** Calls whose caller traces have spans in its trace; none where absent. */
  readonly tracer?: Tracer;
  /** Told of each ended call: method, code ("OK" or a farm code), seconds. */
  readonly onEnd: (call: { readonly method: string; readonly code: string; readonly seconds: number }) => void;
};

type MethodSpec = { readonly name: string; readonly needs: Role };

/** Wrappers by kind of call: each looks up the caller, checks the role, observes how the call ends. */
export type Methods = {
  readonly unary: <Q, A>(spec: MethodSpec, handler: (request: Q, call: Call) => Promise<A>) => ReturnType<typeof unary<Q, A>>;
  readonly serverStream: <Q, A>(
    spec: MethodSpec,
    handler: (request: Q, call: Call) => AsyncIterable<A>,
  ) => ReturnType<typeof serverStream<Q, A>>;
  readonly clientStream: <Q, A>(
    spec: MethodSpec,
    handler: (requests: AsyncIterable<Q>, call: Call) => Promise<A>,
  ) => ReturnType<typeof clientStream<Q, A>>;
};

/** The wrappers for one service. */
export function createMethods(options: MethodOptions): Methods {
  const observe = createObserver(options);
  const enter = (spec: MethodSpec, context: CallContext, trace: TraceContext | undefined): Call => {
    const caller = options.callers(context.header("authorization"));
    requireRole(caller, spec.needs);
    return { caller, signal: context.signal, trace };
  };
  return {
    unary: (spec, handler) =>
      unary((request, context) =>
        observe({ spec, context }, (trace) => whileWaitedFor(context.signal, async () => handler(request, enter(spec, context, trace)))),
      ),
    serverStream: (spec, handler) =>
      serverStream((request, context) =>
        observedStream({ spec, context }, observe, (trace) => handler(request, enter(spec, context, trace))),
      ),
    clientStream: (spec, handler) =>
      clientStream((requests, context) => observe({ spec, context }, async (trace) => handler(requests, enter(spec, context, trace)))),
  };
}

type Observed = { readonly spec: MethodSpec; readonly context: CallContext };
type Observer = <T>(observed: Observed, work: (trace: TraceContext | undefined) => Promise<T>) => Promise<T>;

function createObserver({ logger, onEnd, tracer = noTracer }: MethodOptions): Observer {
  return async ({ spec, context }, work) => {
    const begun = performance.now();
    const parent = tracer.isOn ? parseTraceparent(context.header(traceparentHeader)) : undefined;
    const attributes = { "rpc.system": "grpc", "rpc.service": "vapfarm.v1.FarmService", "rpc.method": spec.name };
    const span = tracer.begin(`FarmService/${spec.name}`, { parent, kind: "server", attributes });
    const end = (code: string): void => onEnd({ method: spec.name, code, seconds: (performance.now() - begun) / 1000 });
    try {
      const outcome = await work(span.context);
      end("OK");
      span.end();
      return outcome;
    } catch (thrown) {
      const error = toFarmError(thrown);
      end(error.code);
      span.end(error.code);
      logFailure(logger, spec.name, error);
      throw thrown;
    }
  };
}

function logFailure(logger: Logger, method: string, error: FarmError): void {
  if (error.row.status === "INTERNAL") logger.error({ err: error, code: error.code, method }, "a call failed");
  else logger.debug({ code: error.code, reason: error.message, method }, "a call was refused");
}

async function* observedStream<A>(
  of: Observed,
  observe: Observer,
  open: (trace: TraceContext | undefined) => AsyncIterable<A>,
): AsyncGenerator<A> {
  const ended = Promise.withResolvers<undefined>();
  let begun: TraceContext | undefined;
  const observed = observe(of, (trace) => {
    begun = trace;
    return ended.promise;
  });
  observed.catch(() => undefined);
  try {
    yield* open(begun);
    ended.resolve(undefined);
  } catch (thrown) {
    ended.reject(toFarmError(thrown));
    throw thrown;
  } finally {
    // A caller that leaves early has had what it wanted.
    ended.resolve(undefined);
  }
}
