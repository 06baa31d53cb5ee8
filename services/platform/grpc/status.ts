/**
 * FarmError ↔ google.rpc.Status with details, and ↔ the gRPC status that carries it.
 *
 * Every failed call carries `grpc-status-details-bin`: a google.rpc.Status whose details are ErrorInfo (reason =
 * the farm's code, domain "vapfarm", metadata.remedy) and what `status-details.ts` adds for the code's status.
 *
 * Statuses travel in trailers, which peers bound and which hold well-formed text only: what a caller sent may come back in them, so texts
 * are made well-formed and cut, and of many fields the first are named.
 */
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { type ErrorCode, FarmError, type StatusName, toFarmError } from "../../domain/errors.ts";
import { Status } from "../../gen/proto/google/rpc/status.ts";
import { detailsOf, readDetails, sendable } from "./status-details.ts";

const detailsKey = "grpc-status-details-bin";
const maxMessageCharacters = 1_000;
const maxFields = 16;

/** What grpc-js sends for a thrown value; anything that is no FarmError becomes INTERNAL without its text. */
export function toServiceError(thrown: unknown): Partial<ServiceError> {
  const answer = toRpcStatus(thrown);
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(Status.encode(answer).finish()));
  return { code: status[toFarmError(thrown).row.status], details: answer.message, metadata };
}

/** The same as a message, for answers that tell of several failures. */
export function toRpcStatus(thrown: unknown, bounds: { readonly maxFields: number } = { maxFields }): Status {
  const error = toFarmError(thrown);
  const message = sendable(thrown instanceof FarmError ? error.message : error.row.message, maxMessageCharacters);
  return Status.create({ code: status[error.row.status], message, details: [...detailsOf(error, message, bounds.maxFields)] });
}

const fallbackCodes: Partial<Record<StatusName, ErrorCode>> = {
  CANCELLED: "STAGE_CANCELLED",
  DEADLINE_EXCEEDED: "DEADLINE_PASSED",
  UNAVAILABLE: "COORDINATOR_UNAVAILABLE",
  UNIMPLEMENTED: "PROTOCOL_UNSUPPORTED",
  // Only the message limit of either end has no details.
  RESOURCE_EXHAUSTED: "REQUEST_TOO_LARGE",
};

/** The FarmError that a failed call carried; statuses without the farm's details keep their message. */
export function fromServiceError(error: ServiceError): FarmError {
  const carried = error.metadata.get(detailsKey)[0];
  const details = carried instanceof Uint8Array ? Status.decode(carried).details : [];
  return toError({ code: error.code, message: error.details, details }, error);
}

/** The FarmError that a status tells of. */
export function fromRpcStatus(told: Status): FarmError {
  return toError(told, undefined);
}

function toError(told: Pick<Status, "code" | "message" | "details">, cause: unknown): FarmError {
  const grpcStatus = status[told.code] as StatusName;
  const { code, ...facts } = readDetails(told.details);
  return new FarmError(code ?? fallbackCodes[grpcStatus] ?? "INTERNAL", {
    message: told.message,
    details: { grpcStatus, ...facts },
    cause,
  });
}
