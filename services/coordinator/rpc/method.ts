/**
 * What every method of FarmService has around its own work: the caller and its role, metrics by outcome, a log line for what should
 * not happen.
 */
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import { type Around, type CallContext, clientStream, serverStream, unary, whileWaitedFor } from "../../platform/grpc/handlers.ts";
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
  const enter = (spec: MethodSpec, context: CallContext): Call => {
    const caller = options.callers(context.header("authorization"));
    requireRole(caller, spec.needs);
    return { caller, signal: context.signal, trace: context.trace };
  };
  return {
    unary: (spec, handler) =>
      unary((request, context) => whileWaitedFor(context.signal, async () => handler(request, enter(spec, context))), observe(spec)),
    serverStream: (spec, handler) => serverStream((request, context) => handler(request, enter(spec, context)), observe(spec)),
    clientStream: (spec, handler) => clientStream(async (requests, context) => handler(requests, enter(spec, context)), observe(spec)),
  };
}

/** How a call ends is told with a code: a stream that its caller leaves, or that outlives its deadline, has that as its end. */
function createObserver({ logger, onEnd, tracer = noTracer }: MethodOptions): (spec: MethodSpec) => Around {
  return (spec) => async (context, work) => {
    const begun = performance.now();
    const parent = tracer.isOn ? parseTraceparent(context.header(traceparentHeader)) : undefined;
    const attributes = { "rpc.system": "grpc", "rpc.service": "vapfarm.v1.FarmService", "rpc.method": spec.name };
    const span = tracer.begin(`FarmService/${spec.name}`, { parent, kind: "server", attributes });
    const end = (code: string): void => onEnd({ method: spec.name, code, seconds: (performance.now() - begun) / 1000 });
    try {
      const outcome = await work({ ...context, trace: span.context });
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
