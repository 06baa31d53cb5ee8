/**
 * Writing all of some bytes: the system may take fewer of them than it was given, a disk that is nearly full for one.
 */
import type { FileHandle } from "node:fs/promises";
import { FarmError } from "../domain/errors.ts";

/** Writes every byte, at `position` or where the file is; fails with the system's word where it takes no more. */
export async function writeAll(file: Pick<FileHandle, "write">, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const at = position === undefined ? null : position + done;
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at);
    if (bytesWritten === 0) throw new FarmError("INTERNAL", { message: `of ${bytes.length} bytes only ${done} could be written` });
    done += bytesWritten;
  }
}
