import { expect, it } from "vitest";
import { writeAll } from "../../../services/platform/write-all.ts";

/** A file that takes so many bytes at a time; after `room` none. */
function fileOf(atATime: number, room = Number.POSITIVE_INFINITY) {
  const places: (number | null | undefined)[] = [];
  const taken: number[] = [];
  const write = (...[bytes, offset, length, position]: [Uint8Array, number, number, number | null]) => {
    const bytesWritten = Math.min(atATime, length, room - taken.length);
    places.push(position);
    taken.push(...bytes.subarray(offset, offset + bytesWritten));
    return Promise.resolve({ bytesWritten, buffer: bytes });
  };
  return { file: { write } as never, places, taken };
}
const bytes = Uint8Array.of(1, 2, 3, 4, 5);

it("writes the rest of what was taken in part, from where it is to be or goes on", async () => {
  const placed = fileOf(2);
  await writeAll(placed.file, bytes, 10);
  expect([placed.taken, placed.places]).toEqual([
    [1, 2, 3, 4, 5],
    [10, 12, 14],
  ]);
  const appended = fileOf(4);
  await writeAll(appended.file, bytes);
  expect([appended.taken, appended.places]).toEqual([
    [1, 2, 3, 4, 5],
    [null, null],
  ]);
});

it("fails where nothing more is taken", async () => {
  await expect(writeAll(fileOf(2, 3).file, bytes)).rejects.toThrow("of 5 bytes only 3 could be written");
});
