/**
 * What S3 answered → the farm's codes.
 */
import { FarmError } from "../../../domain/errors.ts";

type SdkError = Error & { readonly $metadata?: { readonly httpStatusCode?: number } };

/** Its name and HTTP status; the SDK's messages may tell of hosts and accounts. */
export function failureOf(thrown: unknown, what: string): FarmError {
  if (thrown instanceof FarmError) return thrown;
  if (isAbsent(thrown)) return new FarmError("ARTIFACT_MISSING", { cause: thrown });
  const status = statusOf(thrown);
  const answer = `${nameOf(thrown)}${status === undefined ? "" : ` (${status})`}`;
  return new FarmError("ARTIFACT_STORE_UNAVAILABLE", { message: `${what}: S3 answered ${answer}`, cause: thrown });
}

/** The object is not there, while its bucket is. */
export function isAbsent(thrown: unknown): boolean {
  const name = nameOf(thrown);
  return name === "NoSuchKey" || (statusOf(thrown) === 404 && name === "NotFound");
}

/** An upload that was completed, aborted or collected. */
export function isUploadGone(thrown: unknown): boolean {
  return nameOf(thrown) === "NoSuchUpload";
}

/** The range begins at or after the object's end. */
export function isRangeOutside(thrown: unknown): boolean {
  return nameOf(thrown) === "InvalidRange" || statusOf(thrown) === 416;
}

/** The object is another one than that of the entity tag. */
export function isReplaced(thrown: unknown): boolean {
  return statusOf(thrown) === 412;
}

/** HTTP status of an answer; undefined when there was none. */
export function statusOf(thrown: unknown): number | undefined {
  return thrown instanceof Error ? (thrown as SdkError).$metadata?.httpStatusCode : undefined;
}

function nameOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return "nothing known";
  // A broken connection has a code; "Error" alone would say nothing.
  return (thrown as NodeJS.ErrnoException).code ?? thrown.name;
}
