/**
 * FarmService called with bytes: what a client of any language, or none, could send.
 *
 * Requests are written as proto JSON and encoded by the descriptors, so that fields which the TypeScript types forbid can be sent too.
 */
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { createFileRegistry, type DescMethod, fromBinary, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FarmError, type FieldViolation } from "../../../services/domain/errors.ts";
import { BadRequest, ErrorInfo } from "../../../services/gen/proto/google/rpc/error_details.ts";
import { Status } from "../../../services/gen/proto/google/rpc/status.ts";

const set = fromBinary(FileDescriptorSetSchema, readFileSync(join(import.meta.dirname, "../../../services/gen/farm.binpb")));
const registry = createFileRegistry(set);
const service = registry.getService("vapfarm.v1.FarmService");

/** Every method of FarmService. */
export const methods: readonly DescMethod[] = service?.methods ?? [];

/** How a call ended: `code` is the farm's, from the details; undefined when the status carried none. */
export type WireOutcome = {
  readonly status: string;
  readonly code: string | undefined;
  readonly remedy: string;
  readonly fields: readonly FieldViolation["field"][];
  readonly message: string;
};

/** A request's bytes from proto JSON, numbers at any edge included. */
export function encode(methodName: string, json: JsonValue): Uint8Array {
  const input = methodOf(methodName).input;
  return toBinary(input, fromJson(input, json, { registry }));
}

function methodOf(name: string): DescMethod {
  const method = methods.find((each) => each.name === name);
  if (method === undefined) throw new FarmError("INTERNAL", { message: `FarmService has no method ${name}` });
  return method;
}

export type WireFarm = {
  /** Sends one message after another and reads every answer. */
  call(methodName: string, messages: readonly Uint8Array[]): Promise<WireOutcome>;
  close(): void;
};

const callMs = 20_000;
const identity = (bytes: Buffer): Buffer => bytes;

/** A connection to `host:port`. */
export function connectWire(address: string, insecure: ChannelCredentials = credentials.createInsecure()): WireFarm {
  const client = new Client(address, insecure, { "grpc.max_send_message_length": 64 * 1024 ** 2 });
  return {
    call: (methodName, messages) => callWire(client, methodOf(methodName), messages),
    close: () => client.close(),
  };
}

function callWire(client: Client, method: DescMethod, messages: readonly Uint8Array[]): Promise<WireOutcome> {
  const path = `/vapfarm.v1.FarmService/${method.name}`;
  const options = { deadline: Date.now() + callMs };
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(path, identity, identity, new Metadata(), options);
    let failure: ServiceError | undefined;
    call.on("data", () => undefined);
    call.on("error", (error: ServiceError) => (failure = error));
    call.on("status", () => resolve(outcomeOf(failure)));
    for (const message of messages) call.write(Buffer.from(message));
    call.end();
  });
}

function outcomeOf(error: ServiceError | undefined): WireOutcome {
  if (error === undefined) return { status: "OK", code: undefined, remedy: "", fields: [], message: "" };
  const carried = error.metadata.get("grpc-status-details-bin")[0];
  const outcome = { status: status[error.code], message: error.details };
  if (!(carried instanceof Uint8Array)) return { ...outcome, code: undefined, remedy: "", fields: [] };
  return { ...outcome, ...readStatus(Status.decode(carried)) };
}

/** What a status tells: of a failed call, or of one item of a batch. */
export function readStatus(status: Status): Pick<WireOutcome, "code" | "remedy" | "fields"> {
  let found: Pick<WireOutcome, "code" | "remedy" | "fields"> = { code: undefined, remedy: "", fields: [] };
  for (const { typeUrl, value } of status.details) {
    if (typeUrl.endsWith("/google.rpc.ErrorInfo")) {
      const { reason, metadata } = ErrorInfo.decode(value);
      found = { ...found, code: reason, remedy: metadata["remedy"] ?? "" };
    }
    if (typeUrl.endsWith("/google.rpc.BadRequest")) {
      found = { ...found, fields: BadRequest.decode(value).fieldViolations.map(({ field }) => field) };
    }
  }
  return found;
}
