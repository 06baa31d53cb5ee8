/**
 * A body from outside into a new file, within a cap on bytes and on silence.
 */
import { open } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { withDeadline } from "../deadline.ts";

export type SinkOptions = {
  readonly path: string;
  readonly maxBytes: number;
  /** The longest wait for the next bytes. */
  readonly idleMs: number;
};

/** Writes everything; MEDIA_TOO_LARGE at the first byte too many, FETCH_FAILED when the body ends in an error or falls silent. */
export async function writeBody(body: AsyncIterable<Uint8Array>, { path, maxBytes, idleMs }: SinkOptions): Promise<number> {
  const file = await open(path, "wx", 0o600).catch((thrown: unknown) => {
    throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
  });
  const iterator = body[Symbol.asyncIterator]();
  const deadline = { ms: idleMs, code: "FETCH_FAILED", what: "the wait for the next bytes" } as const;
  let sizeBytes = 0;
  try {
    for (;;) {
      const piece = await withDeadline(iterator.next(), deadline).catch((thrown: unknown) => {
        throw toFarmError(thrown, "FETCH_FAILED");
      });
      if (piece.done === true) return sizeBytes;
      sizeBytes += piece.value.length;
      if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
      await file.writeFile(piece.value);
    }
  } finally {
    // A body that fell silent would keep its end waiting.
    void iterator.return?.().catch(() => undefined);
    await file.close();
  }
}

/** What is larger than allowed. */
export function tooLarge(maxBytes: number): FarmError {
  return new FarmError("MEDIA_TOO_LARGE", { message: `has more than the ${maxBytes} bytes that are allowed` });
}
