/**
 * Streams of bytes in pieces of a chosen size.
 */

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
