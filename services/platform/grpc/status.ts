/**
 * FarmError ↔ gRPC status with google.rpc details.
 *
 * Every failed call carries `grpc-status-details-bin`: a google.rpc.Status whose details are ErrorInfo (reason =
 * the farm's code, domain "vapfarm", metadata.remedy) and, where fields are to blame, BadRequest.
 *
 * Statuses travel in trailers, which peers bound and which hold well-formed text only: what a caller sent may come back in them, so texts
 * are made well-formed and cut, and of many fields the first are named.
 */
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { type ErrorCode, FarmError, type FieldViolation, isErrorCode, type StatusName, toFarmError } from "../../domain/errors.ts";
import { BadRequest, ErrorInfo } from "../../gen/proto/google/rpc/error_details.ts";
import { Status } from "../../gen/proto/google/rpc/status.ts";

const detailsKey = "grpc-status-details-bin";
const maxMessageCharacters = 1_000;
const maxFieldCharacters = 300;
const maxFields = 16;
const typePrefix = "type.googleapis.com/google.rpc.";

/** What grpc-js sends for a thrown value; anything that is no FarmError becomes INTERNAL without its text. */
export function toServiceError(thrown: unknown): Partial<ServiceError> {
  const error = toFarmError(thrown);
  const message = sendable(thrown instanceof FarmError ? error.message : error.row.message, maxMessageCharacters);
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(Status.encode(toRpcStatus(error, message)).finish()));
  return { code: status[error.row.status], details: message, metadata };
}

function sendable(text: string, maxCharacters: number): string {
  return (text.length > maxCharacters ? `${text.slice(0, maxCharacters - 1)}…` : text).toWellFormed();
}

function toRpcStatus(error: FarmError, message: string): Status {
  const info = ErrorInfo.create({ reason: error.code, domain: "vapfarm", metadata: { remedy: error.row.remedy } });
  const details = [{ typeUrl: `${typePrefix}ErrorInfo`, value: Buffer.from(ErrorInfo.encode(info).finish()) }];
  const fields = (error.details.fields ?? []).slice(0, maxFields).map(sendableField);
  if (fields.length > 0) {
    const fieldViolations = fields.map(({ field, reason, remedy }) => ({
      field,
      description: `${reason}; ${remedy}`,
      reason: error.code,
      localizedMessage: { locale: "en", message: remedy },
    }));
    const badRequest = BadRequest.create({ fieldViolations });
    details.push({ typeUrl: `${typePrefix}BadRequest`, value: Buffer.from(BadRequest.encode(badRequest).finish()) });
  }
  return Status.create({ code: status[error.row.status], message, details });
}

function sendableField({ field, reason, remedy }: FieldViolation): FieldViolation {
  return {
    field: sendable(field, maxFieldCharacters),
    reason: sendable(reason, maxFieldCharacters),
    remedy: sendable(remedy, maxFieldCharacters),
  };
}

const fallbackCodes: Partial<Record<StatusName, ErrorCode>> = {
  CANCELLED: "STAGE_CANCELLED",
  DEADLINE_EXCEEDED: "DEADLINE_PASSED",
  UNAVAILABLE: "COORDINATOR_UNAVAILABLE",
  UNIMPLEMENTED: "PROTOCOL_UNSUPPORTED",
};

/** The FarmError that a failed call carried; statuses without the farm's details keep their message. */
export function fromServiceError(error: ServiceError): FarmError {
  const carried = error.metadata.get(detailsKey)[0];
  const parsed = carried instanceof Uint8Array ? parseDetails(carried) : undefined;
  const name = status[error.code] as StatusName;
  const code = parsed?.code ?? fallbackCodes[name] ?? "INTERNAL";
  const details = parsed === undefined || parsed.fields.length === 0 ? { grpcStatus: name } : { grpcStatus: name, fields: parsed.fields };
  return new FarmError(code, { message: error.details, details, cause: error });
}

function parseDetails(bytes: Uint8Array): { readonly code: ErrorCode | undefined; readonly fields: readonly FieldViolation[] } {
  let code: ErrorCode | undefined;
  const fields: FieldViolation[] = [];
  for (const { typeUrl, value } of Status.decode(bytes).details) {
    if (typeUrl === `${typePrefix}ErrorInfo`) {
      const { reason } = ErrorInfo.decode(value);
      if (isErrorCode(reason)) code = reason;
    }
    if (typeUrl === `${typePrefix}BadRequest`) fields.push(...BadRequest.decode(value).fieldViolations.map(toViolation));
  }
  return { code, fields };
}

function toViolation(violation: BadRequest["fieldViolations"][number]): FieldViolation {
  const remedy = violation.localizedMessage?.message ?? "";
  const suffix = `; ${remedy}`;
  const reason = violation.description.endsWith(suffix) ? violation.description.slice(0, -suffix.length) : violation.description;
  return { field: violation.field, reason, remedy };
}
