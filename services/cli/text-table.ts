/**
 * Plain aligned columns for people.
 */
import { plainText } from "./table.ts";

/** Rows under a header, each column as wide as its widest cell; the last column is not padded. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return alignColumns([header, ...rows]);
}

/** Rows without a header. */
export function alignColumns(given: readonly (readonly string[])[]): string {
  const rows = given.map((row) => row.map(plainText));
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const padded = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)));
  return padded.map((cells) => cells.join("  ").trimEnd()).join("\n");
}

/** Milliseconds as seconds with one decimal, two below ten seconds. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** Milliseconds as `m:ss`. */
export function clock(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  return `${Math.trunc(total / 60)}:${String(total % 60).padStart(2, "0")}`;
}
