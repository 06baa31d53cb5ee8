import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { coloured, hasColour } from "../../../services/cli/colour.ts";
import { fitLines } from "../../../services/cli/live-view.ts";
import { shownText } from "../../../services/cli/output.ts";
import { type Column, cutText, plainText, renderTable } from "../../../services/cli/table.ts";
import { alignColumns, textTable } from "../../../services/cli/text-table.ts";
import { grid } from "../../../services/cli/top/grid.ts";

type Row = { readonly id: string; readonly count: string; readonly text: string };

const columns: readonly Column<Row>[] = [
  { title: "id", cell: ({ id }) => id, weight: 9 },
  { title: "count", cell: ({ count }) => count, weight: 5, align: "right" },
  { title: "text", cell: ({ text }) => text, weight: 1, least: 4 },
];
const rows: readonly Row[] = [
  { id: "first", count: "7", text: "a long text that has to give way" },
  { id: "second", count: "1234", text: "月が昇る" },
];

describe("a table", () => {
  it("is as wide as its cells where there is room, without spaces at the end", () => {
    expect(renderTable(rows, columns)).toBe(
      ["id      count  text", "first       7  a long text that has to give way", "second   1234  月が昇る"].join("\n"),
    );
  });

  it("cuts the lightest column first, wide characters whole", () => {
    expect(renderTable(rows, columns, { width: 20 })).toBe(
      ["id      count  text", "first       7  a lo…", "second   1234  月が…"].join("\n"),
    );
  });

  it("leaves the lightest column out when all are at their least", () => {
    expect(renderTable(rows, columns, { width: 16 })).toBe(["id      count", "first       7", "second   1234"].join("\n"));
  });

  it("keeps what a person wrote on one line and without escape sequences", () => {
    const table = renderTable([{ id: "a\nb", count: "\u001b[31m1", text: "" }], columns);
    expect(table.split("\n")).toHaveLength(2);
    expect(table).not.toContain("\u001b");
  });

  it("paints cells without changing their width", () => {
    const painted = renderTable(rows, [{ title: "id", cell: ({ id }) => ({ text: id, format: "red" as const }) }, ...columns.slice(1)], {
      paint: coloured,
      width: 24,
    });
    expect(painted).toContain("\u001b[31mfirst\u001b[39m");
    for (const line of painted.split("\n")) expect(stringWidth(line)).toBeLessThanOrEqual(24);
  });

  it("never exceeds the width, whatever is in it", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 40 });
    const row = fc.record({ id: text, count: text, text });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 4 }), fc.integer({ min: 8, max: 90 }), (some, width) => {
        for (const line of renderTable(some, columns, { width }).split("\n")) expect(stringWidth(line)).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe("plain text", () => {
  it.each([
    ["escape sequences", "a\u001b[2Jb", "a [2Jb"],
    ["line breaks of any kind", "a\r\nb\u2028c\u0085d", "a b c d"],
    ["marks that turn the direction of reading", "a\u202etxt.exe\u2066b", "a txt.exe b"],
    ["nothing", "é 月 😀", "é 月 😀"],
  ])("has %s taken out", (_what, text, expected) => {
    expect(plainText(text)).toBe(expected);
  });

  it("is what every table, list and live view prints", () => {
    const hostile = "a\u001b]0;title\u0007\nb";
    expect(textTable(["name"], [[hostile]])).toBe("name\na ]0;title b");
    expect(alignColumns([[hostile, "c"]])).toBe("a ]0;title b  c");
    expect(grid([{ title: "name", yields: 0, least: 4 }], [[hostile]], 40)).toEqual(["name", "a ]0;title b"]);
  });
});

describe("a line of output", () => {
  it.each([
    ["keeps colours, line breaks and tabs where there is colour", "\u001b[1;31ma\u001b[39m\n\tb", true, "\u001b[1;31ma\u001b[39m\n\tb"],
    ["keeps no colour in a pipe", "\u001b[31ma", false, " a"],
    ["does not move the cursor", "a\u001b[2J\u001b]0;t\u0007\rb\u009bA", true, "a [2J ]0;t  b A"],
    ["does not turn the direction of reading", "a\u202eb", true, "a b"],
  ])("%s", (...[, text, hasColours, expected]) => {
    expect(shownText(text, hasColours)).toBe(expected);
  });
});

describe("a cut", () => {
  it.each([
    ["abcdef", 6, "abcdef"],
    ["abcdef", 4, "abc…"],
    ["月月月", 5, "月月…"],
    ["月月月", 4, "月…"],
    ["abc", 1, "…"],
    ["abc", 0, ""],
  ])("of %s to %i cells is %s", (text, width, cut) => {
    expect(cutText(text, width)).toBe(cut);
  });
});

describe("colour", () => {
  it.each<[string, boolean, Readonly<Record<string, string>>, boolean]>([
    ["on a terminal", true, {}, true],
    ["not in a pipe", false, {}, false],
    ["not where NO_COLOR says no", true, { NO_COLOR: "1" }, false],
    ["where an empty NO_COLOR says nothing", true, { NO_COLOR: "" }, true],
    ["in a pipe where FORCE_COLOR says yes", false, { FORCE_COLOR: "1" }, true],
    ["where FORCE_COLOR and NO_COLOR disagree", true, { FORCE_COLOR: "1", NO_COLOR: "1" }, true],
    ["not where FORCE_COLOR is 0", true, { FORCE_COLOR: "0" }, false],
    ["not on a dumb terminal", true, { TERM: "dumb" }, false],
  ])("is used %s", (...[, isTerminal, environment, expected]) => {
    expect(hasColour(isTerminal, environment)).toBe(expected);
  });
});

describe("a live view", () => {
  it("leaves out and counts what does not fit the screen", () => {
    expect(fitLines("a\nb\nc", 4)).toEqual(["a", "b", "c"]);
    expect(fitLines("a\nb\nc\nd", 4)).toEqual(["a", "b", "… 2 more lines"]);
    expect(fitLines("a\nb", undefined)).toEqual(["a", "b"]);
  });
});
