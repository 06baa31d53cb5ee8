/**
 * A disk that takes fewer bytes at a time than it is given, as one that is nearly full does.
 */
import { type FileHandle, open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { vi } from "vitest";

/** Every write to a file handle takes `mostBytes` at most, until it is restored. */
export async function shortWrites(mostBytes: number): Promise<{ restore(): void }> {
  const some = await open(fileURLToPath(import.meta.url), "r");
  const prototype = Object.getPrototypeOf(some) as FileHandle;
  await some.close();
  type Parts = [bytes: Uint8Array, offset?: number, length?: number, position?: number | null];
  type Write = (...parts: Parts) => Promise<unknown>;
  const write = Reflect.get(prototype, "write") as Write;
  const short = function (this: FileHandle, ...[bytes, offset = 0, length, position]: Parts): ReturnType<Write> {
    return write.call(this, bytes, offset, Math.min(length ?? bytes.length - offset, mostBytes), position);
  };
  const spy = vi.spyOn(prototype, "write").mockImplementation(short as never);
  return { restore: () => spy.mockRestore() };
}
