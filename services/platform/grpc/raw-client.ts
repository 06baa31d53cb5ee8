/**
 * Calls by path, bytes in and bytes out: what passes requests through without knowing their messages.
 *
 * The address is asked for at the first call, because a server's port is known only once it runs; a server that listens everywhere is reached
 * over loopback. Failures are FarmErrors as of any client; `failureOf` gives the whole google.rpc.Status back.
 */
import { Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { FarmError } from "../../domain/errors.ts";
import { Status } from "../../gen/proto/google/rpc/status.ts";
import { reachableAddress } from "../http/reachable-address.ts";
import { callClientStream, type CallOptions, callServerStream, callUnary, connectClient } from "./client.ts";
import { toServiceError } from "./status.ts";

/** A client of one server, for any method. */
export type RawClient = {
  unary(path: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array>;
  serverStream(path: string, request: Uint8Array, options: CallOptions): AsyncGenerator<Uint8Array>;
  clientStream(path: string, requests: AsyncIterable<Uint8Array>, options: CallOptions): Promise<Uint8Array>;
  close(): void;
};

export type RawClientOptions = {
  /** Where the server listens; empty while it does not. */
  readonly address: () => string;
  readonly maxMessageBytes: number;
};

/** A client that connects with its first call. */
export function createRawClient({ address, maxMessageBytes }: RawClientOptions): RawClient {
  let connected: { readonly to: string; readonly client: Client } | undefined;
  const client = (): Client => {
    const to = reachableAddress(address());
    if (to === "") throw new FarmError("COORDINATOR_UNAVAILABLE", { message: "the service does not listen" });
    if (connected?.to !== to) {
      connected?.client.close();
      connected = { to, client: connectClient(Client, to, maxMessageBytes) };
    }
    return connected.client;
  };
  return {
    unary: async (path, request, options) => {
      const one = client();
      return callUnary<Buffer, Buffer>(
        (...[bytes, metadata, wire, callback]) =>
          one.makeUnaryRequest(path, same, same, bytes, metadata, wire, (error, answer) => callback(error, answer ?? empty)),
        asBuffer(request),
        options,
      );
    },
    async *serverStream(path, request, options) {
      const one = client();
      yield* callServerStream<Buffer, Buffer>(
        (bytes, metadata, wire) => one.makeServerStreamRequest(path, same, same, bytes, metadata, wire),
        asBuffer(request),
        options,
      );
    },
    clientStream: async (path, requests, options) => {
      const one = client();
      return callClientStream<Uint8Array, Buffer>(
        (metadata, wire, callback) =>
          one.makeClientStreamRequest(path, asBuffer, same, metadata, wire, (error, answer) => callback(error, answer ?? empty)),
        requests,
        options,
      );
    },
    close() {
      connected?.client.close();
      connected = undefined;
    },
  };
}

const empty = Buffer.alloc(0);
const same = (bytes: Buffer): Buffer => bytes;
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A failed call: its google.rpc.Code, as number and by name, and its google.rpc.Status, encoded. */
export type CallFailure = { readonly code: number; readonly name: string; readonly status: Uint8Array };

/** A failure as its google.rpc.Status; what a server said passes through unchanged. */
export function failureOf(thrown: unknown): CallFailure {
  const failure = statusFor(thrown);
  return { ...failure, name: status[failure.code] ?? "UNKNOWN" };
}

function statusFor(thrown: unknown): Omit<CallFailure, "name"> {
  const carrier = carrierOf(thrown);
  const carried = statusOf(carrier);
  if (carrier !== undefined && carried !== undefined) return { code: carrier.code, status: carried };
  return carrier !== undefined && thrown instanceof FarmError && thrown.code === "INTERNAL" ? bareFailure(carrier) : ownFailure(thrown);
}

/** Of a status that gRPC itself made and that no farm code stands for. */
function bareFailure({ code, details }: ServiceError) {
  return { code, status: Status.encode(Status.create({ code, message: details })).finish() };
}

/** Without gRPC's own words: they tell of addresses. */
function ownFailure(thrown: unknown) {
  const error = toServiceError(carrierOf(thrown) !== undefined && thrown instanceof FarmError ? new FarmError(thrown.code) : thrown);
  const code = error.code ?? status.UNKNOWN;
  return { code, status: statusOf(error) ?? Status.encode(Status.create({ code })).finish() };
}

function carrierOf(thrown: unknown): ServiceError | undefined {
  const cause = thrown instanceof FarmError ? thrown.cause : thrown;
  return isServiceError(cause) ? cause : undefined;
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && "metadata" in thrown && thrown.metadata instanceof Metadata;
}

function statusOf(error: Partial<ServiceError> | undefined): Uint8Array | undefined {
  const carried = error?.metadata?.get("grpc-status-details-bin")[0];
  return carried instanceof Uint8Array ? carried : undefined;
}
