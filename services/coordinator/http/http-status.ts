/**
 * The HTTP status of a failure, for the JSON API and the pages alike.
 *
 * It follows from the gRPC status; what only HTTP knows (a wrong method, a range outside the bytes) has one of its own by the farm's code.
 */
import type { ErrorCode, StatusName } from "../../domain/errors.ts";

/** As google/rpc/code.proto documents them: of the farm's own statuses, and of those that gRPC itself may answer. */
const httpStatuses = {
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
} as const satisfies Readonly<Record<StatusName, number>> & Readonly<Record<string, number>>;

const byName: ReadonlyMap<string, number> = new Map(Object.entries(httpStatuses));

const ownStatuses: Partial<Record<ErrorCode, number>> = {
  METHOD_NOT_ALLOWED: 405,
  CONTENT_TYPE_REFUSED: 415,
  REQUEST_TOO_LARGE: 413,
  RANGE_NOT_SATISFIABLE: 416,
};

/** What a failure is: its google.rpc.Code by name, and the farm's code where it has one. */
export type FailureNames = { readonly status: string; readonly code?: string | undefined };

/** The status to answer with; 500 for what has no name here. */
export function httpStatusOf({ status, code }: FailureNames): number {
  const own = code === undefined ? undefined : ownStatuses[code as ErrorCode];
  return own ?? byName.get(status) ?? 500;
}
