/**
 * Streams of bytes, checked against their name.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";

/**
 * The same pieces; ARTIFACT_CORRUPT instead of the last one when they do not hash to `sha256`, so that nobody who takes the end of the
 * stream for success has been given other bytes.
 */
export async function* checked<T extends Uint8Array>(pieces: AsyncIterable<T>, sha256: string): AsyncGenerator<T> {
  const hash = createHash("sha256");
  let held: T | undefined;
  for await (const piece of pieces) {
    if (held !== undefined) yield held;
    hash.update(piece);
    held = piece;
  }
  if (hash.digest("hex") !== sha256) throw new FarmError("ARTIFACT_CORRUPT", { details: { sha256 } });
  if (held !== undefined) yield held;
}
