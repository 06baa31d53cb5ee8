/**
 * Where an artifact lies below a store's root: `<first two hex digits>/<hash>`, in a folder as in a bucket.
 */
import { FarmError } from "../../domain/errors.ts";
import { isSha256 } from "../../domain/ids.ts";

/** Throws ARTIFACT_UNKNOWN for what is no hash, so that no name leads anywhere else. */
export function checkName(sha256: string): string {
  if (isSha256(sha256)) return sha256;
  throw new FarmError("ARTIFACT_UNKNOWN", { message: "an artifact's name is 64 hex digits" });
}

/** Relative, with a slash. */
export function relativePathOf(sha256: string): string {
  return `${checkName(sha256).slice(0, 2)}/${sha256}`;
}
