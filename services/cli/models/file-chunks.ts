/**
 * A file chunk by chunk: hashed as a whole and in parts, read once.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { modelChunkBytes, type VersionChunk, type VersionFile } from "../../domain/model-version.ts";

/** SHA-256 of some bytes, hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Opens for reading; undefined when there is no such file. */
export async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
}

/** So many bytes from there on, or what there is of them. */
export async function readAt(file: FileHandle, { offset, bytes }: Pick<VersionChunk, "offset" | "bytes">): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await file.read(buffer, filled, bytes - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** The chunk's bytes; undefined when what lies there is not them. */
export async function readChunk(file: FileHandle, chunk: VersionChunk): Promise<Uint8Array | undefined> {
  const bytes = await readAt(file, chunk);
  return bytes.length === chunk.bytes && sha256Of(bytes) === chunk.sha256 ? bytes : undefined;
}

type Reading = { readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void };

/** What a file is, all of it read. */
export async function describeFile(path: string, { signal, onBytes }: Reading): Promise<Omit<VersionFile, "path">> {
  const whole = createHash("sha256");
  const chunks: string[] = [];
  let size = 0;
  const file = await open(path, "r");
  try {
    for (;;) {
      signal.throwIfAborted();
      const bytes = await readAt(file, { offset: size, bytes: modelChunkBytes });
      if (bytes.length > 0) chunks.push(sha256Of(bytes));
      whole.update(bytes);
      size += bytes.length;
      onBytes(bytes.length);
      if (bytes.length < modelChunkBytes) break;
    }
  } finally {
    await file.close();
  }
  return { bytes: size, sha256: whole.digest("hex"), chunks };
}
