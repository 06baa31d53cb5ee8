/**
 * Text that fits a width in terminal columns, wide characters counted as two: cells, rows and bars.
 *
 * Invariant: nothing that a farm tells can move the cursor; control characters never reach a line.
 */
import stringWidth from "string-width";
import { cutText, plainText } from "../table.ts";

/** One column of a grid. */
export type Column = {
  readonly title: string;
  /** Columns with the highest number give way first. */
  readonly yields: number;
  /** Never narrower than this unless it gives way altogether. */
  readonly least: number;
  readonly isNumber?: boolean;
};

const gap = "  ";

function pad(text: string, width: number, isNumber: boolean): string {
  const space = " ".repeat(Math.max(0, width - stringWidth(text)));
  return isNumber ? space + text : text + space;
}

/** A header and rows, each at most `width` columns: cells shrink to their least, then columns give way, those that yield most first. */
export function grid(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): readonly string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(plainText))];
  const natural = columns.map((_, index) => Math.max(...cells.map((row) => stringWidth(row[index] ?? ""))));
  const widths = fit(columns, natural, width);
  return cells.map((row) => {
    const shown = widths.flatMap((columnWidth, index) => {
      if (columnWidth === 0) return [];
      return [pad(cutText(row[index] ?? "", columnWidth), columnWidth, columns[index]?.isNumber === true)];
    });
    return cutText(shown.join(gap).trimEnd(), width);
  });
}

/** The width of each column; 0 for one that gave way. */
function fit(columns: readonly Column[], natural: readonly number[], width: number): readonly number[] {
  const widths = [...natural];
  const total = (): number => {
    const shown = widths.filter((each) => each > 0);
    return shown.reduce((sum, each) => sum + each, 0) + gap.length * Math.max(0, shown.length - 1);
  };
  const byYield = columns
    .map(({ yields, least }, index) => ({ yields, least, index }))
    .toSorted((left, right) => right.yields - left.yields);
  for (const { least, index } of byYield) {
    const over = total() - width;
    if (over <= 0) return widths;
    widths[index] = Math.max(Math.min(least, widths[index] ?? 0), (widths[index] ?? 0) - over);
  }
  for (const { index } of byYield.slice(0, -1)) {
    if (total() <= width) return widths;
    widths[index] = 0;
  }
  return widths;
}

/** `████░░░░ 5/10`; the count alone where a bar would be too short to read. */
export function bar(done: number, all: number, width: number): string {
  const count = `${done}/${all}`;
  const cells = width - count.length - 1;
  if (all <= 0) return "";
  if (cells < 4) return count;
  const full = Math.round(cells * Math.min(1, Math.max(0, done / all)));
  return `${"█".repeat(full)}${"░".repeat(cells - full)} ${count}`;
}
