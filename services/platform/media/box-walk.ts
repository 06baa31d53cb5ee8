/**
 * Tells whether an mp4 or QuickTime file is all there, by walking its top-level boxes (ISO/IEC 14496-12 §4.2).
 *
 * ffmpeg plays the beginning of a cut file and ends with success, or finds no stream at all; the boxes say plainly what is missing.
 */
import type { FileHandle } from "node:fs/promises";

/** `cut`: a box ends after the file does. `unindexed`: no moov, so nothing can be played. */
export type BoxVerdict = "whole" | "cut" | "unindexed";

const headerBytes = 16;
const mostBoxes = 100_000;

/** Walks the top-level boxes of a file of `fileBytes` bytes. */
export async function walkBoxes(file: FileHandle, fileBytes: number): Promise<BoxVerdict> {
  let offset = 0;
  let indexed = false;
  for (let count = 0; count < mostBoxes && offset + 8 <= fileBytes; count += 1) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, offset);
    const box = readBox(buffer.subarray(0, bytesRead));
    if (box.type === "moov") indexed = true;
    if (box.bytes === 0) break;
    if (box.bytes < 8 || offset + box.bytes > fileBytes) return "cut";
    offset += box.bytes;
  }
  return indexed ? "whole" : "unindexed";
}

/** Size 0 means "to the end of the file", size 1 that a 64-bit size follows the type. */
function readBox(header: Buffer): { readonly type: string; readonly bytes: number } {
  const type = header.toString("latin1", 4, 8);
  const short = header.readUInt32BE(0);
  if (short !== 1) return { type, bytes: short };
  return { type, bytes: header.length < headerBytes ? 1 : Number(header.readBigUInt64BE(8)) };
}
