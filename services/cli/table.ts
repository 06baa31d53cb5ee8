/**
 * Tables that fit: as wide as their cells where there is room, cut by each column's weight where there is not.
 *
 * Pure. Widths are cells of a terminal (wide characters count two), never characters. When columns must give way, those that may be cut
 * shrink, the lightest first, down to their least width; when all are at their least, the lightest goes away. A name that is cut names
 * nothing, so only prose may be cut.
 */
import stringWidth from "string-width";
import { type Format, type Paint, plain } from "./colour.ts";

/** A cell's text, or how it is painted too. */
export type Cell = string | { readonly text: string; readonly format: Format | readonly Format[] };

/** One column, and how it gives way. */
export type Column<T> = {
  readonly title: string;
  cell(row: T): Cell;
  readonly align?: "left" | "right";
  /** Who gives way last; else 1. */
  readonly weight?: number;
  /** The least width to cut it to; else it is whole or not there. */
  readonly least?: number;
};

/** Where a table is shown. */
export type TableOptions = {
  /** Cells of a line; undefined: as wide as it needs. */
  readonly width?: number | undefined;
  readonly paint?: Paint | undefined;
};

const gap = 2;

/** Rows under a header of titles; no spaces at the end of lines. */
export function renderTable<T>(rows: readonly T[], columns: readonly Column<T>[], options: TableOptions = {}): string {
  const paint = options.paint ?? plain;
  const fitted = fitColumns(rows, columns, options.width);
  const titles = fitted.map((column) => ({ column, cell: { text: column.title, format: "bold" } as const }));
  const header = joinCells(titles, paint);
  const lines = rows.map((row) =>
    joinCells(
      fitted.map((column) => ({ column, cell: column.cell(row) })),
      paint,
    ),
  );
  return [header, ...lines].join("\n");
}

type Fitted<T> = Column<T> & { readonly width: number };

function fitColumns<T>(rows: readonly T[], columns: readonly Column<T>[], width: number | undefined): readonly Fitted<T>[] {
  const natural = columns.map((column) => {
    const widths = rows.map((row) => stringWidth(plainText(textOf(column.cell(row)))));
    return { ...column, width: widths.reduce((most, each) => Math.max(most, each), stringWidth(column.title)) };
  });
  return width === undefined ? natural : shrink(natural, width);
}

function shrink<T>(columns: readonly Fitted<T>[], width: number): readonly Fitted<T>[] {
  let excess = totalWidth(columns) - width;
  if (excess <= 0) return columns;
  const widths = new Map(columns.map((column) => [column, column.width]));
  for (const column of columns.toSorted((left, right) => weightOf(left) - weightOf(right))) {
    const given = Math.min(excess, Math.max(0, column.width - leastOf(column)));
    widths.set(column, column.width - given);
    excess -= given;
  }
  if (excess > 0 && columns.length > 1) return shrink(withoutLightest(columns), width);
  return columns.map((column) => ({ ...column, width: Math.max(1, (widths.get(column) ?? 1) - (columns.length === 1 ? excess : 0)) }));
}

function withoutLightest<T>(columns: readonly Fitted<T>[]): readonly Fitted<T>[] {
  const lightest = Math.min(...columns.map(weightOf));
  const index = columns.findLastIndex((column) => weightOf(column) === lightest);
  return columns.toSpliced(index, 1);
}

function weightOf(column: { readonly weight?: number }): number {
  return column.weight ?? 1;
}

function leastOf<T>(column: Fitted<T>): number {
  return Math.min(column.width, column.least ?? column.width);
}

function totalWidth<T>(columns: readonly Fitted<T>[]): number {
  return columns.reduce((sum, { width }) => sum + width, 0) + gap * Math.max(0, columns.length - 1);
}

type Placed<T> = { readonly column: Fitted<T>; readonly cell: Cell };

function joinCells<T>(cells: readonly Placed<T>[], paint: Paint): string {
  const parts = cells.map(({ column, cell }, index) => {
    const text = cutText(plainText(textOf(cell)), column.width);
    const padding = " ".repeat(Math.max(0, column.width - stringWidth(text)));
    const painted = typeof cell === "string" ? text : paint(cell.format, text);
    if (column.align === "right") return `${padding}${painted}`;
    return index === cells.length - 1 ? painted : `${painted}${padding}`;
  });
  return parts.join(" ".repeat(gap)).trimEnd();
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

/**
 * Text as one line that a terminal only shows: without control characters, line breaks and marks that turn the direction of reading. What
 * a person or another machine wrote may hold anything; each run of these becomes a space.
 */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}

/** At most so many cells, an ellipsis where something is left out. */
export function cutText(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const next = stringWidth(segment);
    if (used + next > width - 1) break;
    kept += segment;
    used += next;
  }
  return width < 1 ? "" : `${kept}…`;
}
