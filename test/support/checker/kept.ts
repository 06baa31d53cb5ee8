/**
 * A message as a journal keeps it.
 */
import { createHash } from "node:crypto";
import type { Kept } from "./journal-entries.ts";

/** Bytes become their hash, bigints strings, dates ISO strings; what is undefined is left out. */
export function kept(message: object): Kept {
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, keptValue(value)]));
}

function keptValue(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return { sha256: createHash("sha256").update(value).digest("hex"), sizeBytes: value.length };
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(keptValue);
  return typeof value === "object" && value !== null ? kept(value) : value;
}
