/**
 * Streams of bytes in pieces of a chosen size, and checked against their name.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";

/** The same bytes in pieces of exactly `size`, the last one shorter; no empty piece. */
export async function* inChunks(bytes: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const piece of bytes) {
    held.push(piece);
    heldBytes += piece.length;
    if (heldBytes < size) continue;
    const whole = Buffer.concat(held, heldBytes);
    const cut = heldBytes - (heldBytes % size);
    for (let start = 0; start < cut; start += size) yield whole.subarray(start, start + size);
    held = cut === heldBytes ? [] : [whole.subarray(cut)];
    heldBytes -= cut;
  }
  if (heldBytes > 0) yield Buffer.concat(held, heldBytes);
}

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
