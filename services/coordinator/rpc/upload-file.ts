/**
 * A temporary file that an upload's bytes go into, hashed on the way.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";

/** A new file being written. */
export type PartFile = {
  write(bytes: Uint8Array): Promise<void>;
  /** To be called before anybody reads it; safe to call twice. */
  close(): Promise<void>;
  sizeBytes(): number;
  /** Lower-case hex, of all bytes; to be asked once, at the end. */
  sha256(): string;
};

/** Opens a new file at `path`. */
export async function openPart(path: string): Promise<PartFile> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const file = await open(path, "wx", 0o600).catch((thrown: unknown) => {
    throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
  });
  let isOpen = true;
  return {
    async write(bytes) {
      hash.update(bytes);
      sizeBytes += bytes.length;
      await file.writeFile(bytes).catch((thrown: unknown) => {
        throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
      });
    },
    async close() {
      if (!isOpen) return;
      isOpen = false;
      await file.close();
    },
    sizeBytes: () => sizeBytes,
    sha256: () => hash.digest("hex"),
  };
}

/** More bytes than one upload may have. */
export function tooLarge(sizeBytes: number, maxBytes: number): FarmError {
  const field = { field: "chunk", reason: `${sizeBytes} bytes or more, ${maxBytes} are allowed`, remedy: "shorten or scale the media" };
  return new FarmError("MEDIA_TOO_LARGE", { details: { fields: [field] } });
}
