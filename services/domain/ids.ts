/**
 * Names that must not be mistaken for one another: branded strings, checked where they enter.
 */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** SHA-256 of some bytes, 64 lower-case hexadecimal digits. */
export type Sha256 = Branded<"Sha256">;

/** A content key: the SHA-256 of what a task computes. */
export type ContentKey = Sha256 & Branded<"ContentKey">;

/** A fence: a random 128-bit id, hexadecimal, with or without dashes. */
export type AttemptId = Branded<"AttemptId">;

/** Tells whether a string from outside can be a job's id: a UUID in lower case. */
export function isJobId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** Tells whether a string from outside can be the id of a resumable upload: a UUID in lower case. */
export function isUploadId(text: string): boolean {
  return isJobId(text);
}

/** Tells whether a string from outside can name an artifact within its job. */
export function isArtifactName(text: string): boolean {
  return /^[a-z][a-z0-9_]{0,63}$/.test(text);
}

/** Tells whether a string from outside is a SHA-256. */
export function isSha256(text: string): text is Sha256 {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Tells whether a string from outside can be a fence. */
export function isAttemptId(text: string): text is AttemptId {
  return /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/.test(text);
}
