/**
 * Requests whose bytes are no message of their type, texts that are no UTF-8 included.
 *
 * grpc-js answers them with INTERNAL and no details, as if the farm were at fault; here reading never throws, and the handler that meets
 * such a request refuses it as REQUEST_MALFORMED.
 */
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { FarmError } from "../../domain/errors.ts";
import { strictReader } from "../protojson/strict-reader.ts";

/** Stands where the request would be. */
class MalformedRequest {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/** The same service, whose requests are read without throwing. */
export function tolerant(definition: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, tolerantMethod(method)]));
}

function tolerantMethod(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
  const read = (bytes: Buffer): unknown => {
    try {
      // The generated deserializers hand on what they are given to `decode`, which takes a reader too.
      return method.requestDeserialize(strictReader(bytes) as unknown as Buffer);
    } catch (thrown) {
      return new MalformedRequest(thrown);
    }
  };
  return { ...method, requestDeserialize: read };
}

/** The request itself; throws REQUEST_MALFORMED for bytes that could not be read. */
export function wellFormed<Q>(request: Q): Q {
  if (!(request instanceof MalformedRequest)) return request;
  throw new FarmError("REQUEST_MALFORMED", { message: "the request's bytes are no message of its type", cause: request.cause });
}

/** The same for each message of a stream. */
export async function* allWellFormed<Q>(requests: AsyncIterable<Q>): AsyncGenerator<Q> {
  for await (const request of requests) yield wellFormed(request);
}
