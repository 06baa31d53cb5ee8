/**
 * The Range header of RFC 9110, as far as one range of bytes goes.
 *
 * Pure. What is no range that we serve (another unit, several ranges, bad syntax) is answered whole, as the RFC allows; a range outside the
 * bytes is `unsatisfiable` (416).
 */

/** What to send of `sizeBytes` bytes. */
export type ByteRange =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly offset: number; readonly length: number }
  | { readonly kind: "unsatisfiable" };

const whole: ByteRange = { kind: "whole" };
const unsatisfiable: ByteRange = { kind: "unsatisfiable" };

/** Reads a Range header against a size; absent header: the whole. */
export function parseByteRange(header: string | undefined, sizeBytes: number): ByteRange {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (first === "" && last === "") return whole;
  if (first === "") return suffix(Number(last), sizeBytes);
  const offset = Number(first);
  const end = last === "" ? Infinity : Number(last);
  if (end < offset) return whole;
  if (offset >= sizeBytes) return unsatisfiable;
  return { kind: "part", offset, length: Math.min(end + 1, sizeBytes) - offset };
}

function suffix(length: number, sizeBytes: number): ByteRange {
  if (length === 0 || sizeBytes === 0) return unsatisfiable;
  const sent = Math.min(length, sizeBytes);
  return { kind: "part", offset: sizeBytes - sent, length: sent };
}

/** Whether the Range header counts: If-Range is absent, or names the strong entity tag that the bytes have. */
export function isRangeWanted(ifRange: string | readonly string[] | undefined, entityTag: string): boolean {
  return ifRange === undefined || String(ifRange).trim() === entityTag;
}

/** Value of Content-Range: which part of how much follows, or, for 416, how much there is. */
export function contentRange(range: Extract<ByteRange, { kind: "part" | "unsatisfiable" }>, sizeBytes: number): string {
  if (range.kind === "unsatisfiable") return `bytes */${sizeBytes}`;
  return `bytes ${range.offset}-${range.offset + range.length - 1}/${sizeBytes}`;
}
