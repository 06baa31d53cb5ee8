/**
 * The google.rpc details of a FarmError, in one table by message type, both ways.
 *
 * ErrorInfo always, with the stage input that is to blame where one is; BadRequest where fields are to blame; RetryInfo where the same call
 * may succeed a little later; ResourceInfo for what was not found; PreconditionFailure for what something's state does not allow.
 */
import { type ErrorCode, type FarmError, type FieldViolation, isErrorCode, type StatusName } from "../../domain/errors.ts";
import { BadRequest, ErrorInfo, PreconditionFailure, ResourceInfo, RetryInfo } from "../../gen/proto/google/rpc/error_details.ts";
import type { Status } from "../../gen/proto/google/rpc/status.ts";

type Detail = Status["details"][number];

/** What details told; absent where nothing did. */
export type ReadDetails = {
  readonly code?: ErrorCode;
  readonly fields?: readonly FieldViolation[];
  readonly retryAfterMs?: number;
  readonly resource?: { readonly type: string; readonly name: string };
  readonly subject?: string;
  /** Name of a stage's input. */
  readonly input?: string;
};

const typePrefix = "type.googleapis.com/google.rpc.";
const maxFieldCharacters = 300;
/** When to try again where the error does not say. */
const retryMs: Partial<Record<StatusName, number>> = { UNAVAILABLE: 1_000, RESOURCE_EXHAUSTED: 5_000 };

/** Text as trailers can carry it: bounded and well-formed. */
export function sendable(text: string, maxCharacters: number): string {
  return (text.length > maxCharacters ? `${text.slice(0, maxCharacters - 1)}…` : text).toWellFormed();
}

/** All details of an error; of many fields the first. */
export function detailsOf(error: FarmError, message: string, maxFields: number): readonly Detail[] {
  const { status, remedy } = error.row;
  const input = textOf(error.details["input"]);
  const metadata: Record<string, string> = input === "" ? { remedy } : { remedy, input };
  const info = ErrorInfo.create({ reason: error.code, domain: "vapfarm", metadata });
  const fields = (error.details.fields ?? []).slice(0, maxFields);
  const found = [detail("ErrorInfo", ErrorInfo.encode(info).finish())];
  if (fields.length > 0) found.push(detail("BadRequest", badRequest(fields, error.code)));
  const delayMs = retryDelayOf(error);
  if (delayMs !== undefined) found.push(detail("RetryInfo", retryInfo(delayMs)));
  if (status === "NOT_FOUND") found.push(detail("ResourceInfo", resourceInfo(error, message)));
  if (status === "FAILED_PRECONDITION") found.push(detail("PreconditionFailure", preconditionFailure(error, message)));
  return found;
}

function detail(name: string, value: Uint8Array): Detail {
  return { typeUrl: `${typePrefix}${name}`, value: Buffer.from(value) };
}

function badRequest(fields: readonly FieldViolation[], code: ErrorCode): Uint8Array {
  const fieldViolations = fields.map(sendableField).map(({ field, reason, remedy }) => ({
    field,
    description: `${reason}; ${remedy}`,
    reason: code,
    localizedMessage: { locale: "en", message: remedy },
  }));
  return BadRequest.encode(BadRequest.create({ fieldViolations })).finish();
}

function sendableField({ field, reason, remedy }: FieldViolation): FieldViolation {
  return {
    field: sendable(field, maxFieldCharacters),
    reason: sendable(reason, maxFieldCharacters),
    remedy: sendable(remedy, maxFieldCharacters),
  };
}

function retryDelayOf({ details, row }: FarmError): number | undefined {
  const { retryAfterMs } = details;
  return typeof retryAfterMs === "number" && retryAfterMs >= 0 ? retryAfterMs : retryMs[row.status];
}

function retryInfo(delayMs: number): Uint8Array {
  const seconds = Math.floor(delayMs / 1_000);
  const retryDelay = { seconds: BigInt(seconds), nanos: Math.round((delayMs - seconds * 1_000) * 1e6) };
  return RetryInfo.encode(RetryInfo.create({ retryDelay })).finish();
}

/** `JOB_UNKNOWN` is about a job: the first word says of what kind the thing is. */
function resourceInfo({ code, details }: FarmError, message: string): Uint8Array {
  const [kind = ""] = code.toLowerCase().split("_");
  const resourceName = textOf(details["resource"]);
  return ResourceInfo.encode(ResourceInfo.create({ resourceType: kind, resourceName, description: message })).finish();
}

function preconditionFailure({ code, details }: FarmError, message: string): Uint8Array {
  const violations = [{ type: code, subject: textOf(details["subject"]), description: message }];
  return PreconditionFailure.encode(PreconditionFailure.create({ violations })).finish();
}

function textOf(fact: unknown): string {
  return typeof fact === "string" ? sendable(fact, maxFieldCharacters) : "";
}

const readers: Readonly<Record<string, (value: Buffer) => ReadDetails>> = {
  ErrorInfo: (value) => {
    const { reason, metadata } = ErrorInfo.decode(value);
    const { input } = metadata;
    return { ...(isErrorCode(reason) ? { code: reason } : {}), ...(input === undefined ? {} : { input }) };
  },
  BadRequest: (value) => ({ fields: BadRequest.decode(value).fieldViolations.map(toViolation) }),
  RetryInfo: (value) => {
    const { seconds, nanos } = RetryInfo.decode(value).retryDelay ?? { seconds: 0n, nanos: 0 };
    return { retryAfterMs: Number(seconds) * 1_000 + nanos / 1e6 };
  },
  ResourceInfo: (value) => {
    const { resourceType, resourceName } = ResourceInfo.decode(value);
    return { resource: { type: resourceType, name: resourceName } };
  },
  PreconditionFailure: (value) => ({ subject: PreconditionFailure.decode(value).violations[0]?.subject ?? "" }),
};

/** What the details of a status tell; unknown ones are passed over. */
export function readDetails(details: readonly Detail[]): ReadDetails {
  return details.reduce<ReadDetails>((read, { typeUrl, value }) => {
    const name = typeUrl.startsWith(typePrefix) ? typeUrl.slice(typePrefix.length) : "";
    const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
    return reader === undefined ? read : { ...read, ...reader(value) };
  }, {});
}

function toViolation(violation: BadRequest["fieldViolations"][number]): FieldViolation {
  const remedy = violation.localizedMessage?.message ?? "";
  const suffix = `; ${remedy}`;
  const reason = violation.description.endsWith(suffix) ? violation.description.slice(0, -suffix.length) : violation.description;
  return { field: violation.field, reason, remedy };
}
