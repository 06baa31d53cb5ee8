/**
 * A row of the table of error codes (errors.ts): what a code means to client, scheduler and operator.
 */

/** How a failed attempt is charged (design §4.7). */
export type ErrorClass = "input" | "transient" | "capacity" | "engine" | "artifact" | "infrastructure" | "unexplained" | "worker";

/** Names of gRPC statuses, as google.rpc.Code spells them. */
export type StatusName =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "UNAUTHENTICATED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "CANCELLED"
  | "DEADLINE_EXCEEDED"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNIMPLEMENTED"
  | "INTERNAL";

export type ErrorRow = {
  readonly status: StatusName;
  readonly errorClass: ErrorClass;
  readonly message: string;
  readonly remedy: string;
};

/** A row: its texts are what happened, and what a person can do. */
export function row(status: StatusName, errorClass: ErrorClass, texts: readonly [string, string]): ErrorRow {
  return { status, errorClass, message: texts[0], remedy: texts[1] };
}
