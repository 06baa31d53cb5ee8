/**
 * Every call of FarmService as the proto states it: a request whose absent fields are their defaults, an answer as generated.
 *
 * A deadline is always set, and a failure is a FarmError with the farm's code and fields. Nothing is tried again here.
 */
import * as benchMessages from "../gen/proto/vapfarm/v1/bench.ts";
import * as booksMessages from "../gen/proto/vapfarm/v1/books.ts";
import * as farmMessages from "../gen/proto/vapfarm/v1/farm.ts";
import { type DeepPartial, type FarmServiceClient, FarmServiceService } from "../gen/proto/vapfarm/v1/farm.ts";
import * as modelMessages from "../gen/proto/vapfarm/v1/models.ts";
import * as operatorMessages from "../gen/proto/vapfarm/v1/operator.ts";
import {
  type CallOptions,
  callClientStream,
  callServerStream,
  callUnary,
  type ClientStreamMethod,
  type ServerStreamMethod,
  type UnaryMethod,
} from "../platform/grpc/client.ts";
import { traceparentHeader } from "../platform/tracing/trace-context.ts";

/** What a caller decides about one call. */
export type CallControl = {
  readonly signal?: AbortSignal | undefined;
  /** Else 30 seconds for one answer, an hour for a stream. */
  readonly deadlineMs?: number | undefined;
  /** Of this call, instead of the client's. */
  readonly traceparent?: string | undefined;
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

type Name = keyof Methods;
type Message = { fromPartial(request: object): unknown };
type RequestName = `${Capitalize<Name>}Request`;

const deadlines: Readonly<Partial<Record<Name, number>>> = { submitRenders: batchMs, startRun: batchMs };
// Each method has a request of its own, named after it: the protos' linter sees to that, and the compiler that none is missing here.
const requests: Readonly<Record<RequestName, Message>> = {
  ...farmMessages,
  ...operatorMessages,
  ...booksMessages,
  ...benchMessages,
  ...modelMessages,
};

/** The calls over a connected client. */
export function farmCalls(wire: FarmServiceClient, defaults: CallDefaults): FarmCalls {
  const names = Object.keys(FarmServiceService) as Name[];
  return Object.fromEntries(names.map((name) => [name, callOf(name, wire, defaults)])) as unknown as FarmCalls;
}

function callOf(name: Name, wire: FarmServiceClient, defaults: CallDefaults) {
  const method: unknown = wire[name].bind(wire);
  const { requestStream, responseStream } = FarmServiceService[name];
  if (requestStream) return sending(method as ClientStreamMethod<unknown, unknown>, defaults);
  const fill = (request: object): unknown => requests[requestName(name)].fromPartial(request);
  if (responseStream) return receiving(method as ServerStreamMethod<unknown, unknown>, fill, defaults);
  return (request: object, control?: CallControl): Promise<unknown> =>
    callUnary(method as UnaryMethod<unknown, unknown>, fill(request), optionsOf(defaults, control, deadlines[name] ?? unaryMs)).catch(
      (thrown: unknown) => Promise.reject(explained(defaults, thrown)),
    );
}

function requestName(name: Name): RequestName {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}Request` as RequestName;
}

function sending(method: ClientStreamMethod<unknown, unknown>, defaults: CallDefaults) {
  return (messages: AsyncIterable<unknown>, control?: CallControl): Promise<unknown> =>
    callClientStream(method, messages, optionsOf(defaults, control, streamMs)).catch((thrown: unknown) =>
      Promise.reject(explained(defaults, thrown)),
    );
}

function receiving(method: ServerStreamMethod<unknown, unknown>, fill: (request: object) => unknown, defaults: CallDefaults) {
  return async function* (request: object, control?: CallControl): AsyncGenerator {
    try {
      yield* callServerStream(method, fill(request), optionsOf(defaults, control, streamMs));
    } catch (thrown) {
      throw explained(defaults, thrown);
    }
  };
}

function explained(defaults: CallDefaults, thrown: unknown): Error {
  return defaults.explain(thrown) as Error;
}

function optionsOf({ headers }: CallDefaults, control: CallControl | undefined, deadlineMs: number): CallOptions {
  const own = control?.traceparent === undefined ? {} : { [traceparentHeader]: control.traceparent };
  const options = { deadlineMs: control?.deadlineMs ?? deadlineMs, headers: { ...headers, ...own } };
  return control?.signal === undefined ? options : { ...options, signal: control.signal };
}
