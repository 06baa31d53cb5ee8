/**
 * What a single field of a request must be: one place for each rule that several methods share.
 *
 * Pure. A rule answers the violations that it found, so that a method can tell of all of them at once.
 */
import { type ErrorCode, FarmError, type FieldViolation } from "./errors.ts";
import { isSha256 } from "./ids.ts";

/** A violation and the code that it would have if it were the only one. */
export type RuleViolation = FieldViolation & { readonly code: ErrorCode };

/** What rules find. */
export type Violations = readonly RuleViolation[];

/** The largest int64 of the wire. */
export const maxInt64 = 2n ** 63n - 1n;
/** The longest name that is text: of a file, a model, a worker. */
export const maxNameCharacters = 255;
const maxReasonCharacters = 500;
const maxPageSize = 1_000;

/** google.protobuf.Timestamp's range: the years 1 to 9999. */
const firstTime = Date.parse("0001-01-01T00:00:00Z");
const lastTime = Date.UTC(10_000, 0);

/** An invalid field: why, and what to do about it. */
export function violation(field: string, reason: string, remedy: string): RuleViolation {
  return { code: "FIELD_INVALID", field, reason, remedy };
}

/** An enum's value that this release has no name for, or none at all where one is needed. */
export function unknownValue(field: string): RuleViolation {
  return violation(field, "has a value that this farm does not know", "choose one of the values of this farm's farm.proto");
}

/** One error for all violations; its code is theirs if they agree. */
export function refusalOf(violations: Violations): FarmError {
  const codes = new Set<ErrorCode>(violations.map(({ code }) => code));
  const [only] = codes;
  const fields = violations.map(({ field, reason, remedy }): FieldViolation => ({ field, reason, remedy }));
  const message = fields.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  return new FarmError(codes.size === 1 && only !== undefined ? only : "FIELD_INVALID", { message, details: { fields } });
}

/** Throws the refusal unless nothing is wrong. */
export function refuseAny(violations: Violations): void {
  if (violations.length > 0) throw refusalOf(violations);
}

/** A whole number and the range that it must be in. */
export type RangedNumber = { readonly value: number | bigint; readonly min: number | bigint; readonly max: number | bigint };

/** A whole number within its range, both ends included. */
export function numberRule(field: string, { value, min, max }: RangedNumber): Violations {
  const isWhole = typeof value === "bigint" || Number.isInteger(value);
  if (isWhole && value >= min && value <= max) return [];
  return [violation(field, `${value} is outside ${min} .. ${max}`, "choose a number in that range")];
}

/** Text for people: bounded, without NUL, well-formed. */
export function textRule(field: string, text: string, maxCharacters: number): Violations {
  if (text.length > maxCharacters) {
    return [violation(field, `has ${text.length} characters, more than ${maxCharacters}`, "shorten the text")];
  }
  if (text.includes("\0")) return [violation(field, "holds a NUL character", "remove it")];
  if (!text.isWellFormed()) return [violation(field, "holds half of a surrogate pair", "send well-formed Unicode")];
  return [];
}

/** Why a person does something, for other people. */
export function reasonRule(reason: string): Violations {
  return textRule("reason", reason, maxReasonCharacters);
}

/** How many a page may have; 0: the method's default. */
export function pageSizeRule(pageSize: number): Violations {
  return numberRule("page_size", { value: pageSize, min: 0, max: maxPageSize });
}

/** The hash of bytes that are to come; absent is fine. */
export function sha256Rule(field: string, sha256: string | undefined): Violations {
  if (sha256 === undefined || isSha256(sha256)) return [];
  return [violation(field, "is no SHA-256 in lower-case hex", "send 64 hexadecimal digits, or leave it out")];
}

/** The name of a tenant or a pool; an empty one is the caller's to judge. */
export function nameRule(field: string, name: string): Violations {
  if (name === "" || /^[A-Za-z0-9_-]{1,64}$/.test(name)) return [];
  return [violation(field, "is no name of 1 to 64 letters, digits, - or _", "give such a name")];
}

/** A time that Timestamp can hold; absent is fine. */
export function timeRule(field: string, time: Date | undefined): Violations {
  if (time === undefined || (time.getTime() >= firstTime && time.getTime() < lastTime)) return [];
  return [violation(field, "is no time from the year 1 to 9999", "choose a time in that range, or leave it out")];
}

/** A key that tells repeats of a request; empty: none. */
export function idempotencyKeyRule(field: string, key: string): Violations {
  if (key === "" || /^[\x20-\x7e]{1,128}$/.test(key)) return [];
  return [violation(field, "has other than 1 to 128 printable ASCII characters", "use such a key, e.g. a UUID")];
}

/** Paths of a field mask: each one of those known. */
export function maskRule(field: string, paths: readonly string[], known: readonly string[]): Violations {
  const unknown = paths.filter((path) => !known.includes(path));
  return unknown.map((path) =>
    violation(field, `"${path.slice(0, 80)}" is no field that it can name`, `name some of: ${known.join(", ")}`),
  );
}
