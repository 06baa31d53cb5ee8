import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCsv, writeCsv } from "../../../../services/cli/bench/csv.ts";

function texts(text: string): readonly (readonly string[])[] {
  return readCsv(text).records.map(({ cells }) => cells.map((cell) => cell.text));
}

describe("a CSV file", () => {
  it.each([
    ["LF", "a,b\n1,2\n"],
    ["CRLF", "a,b\r\n1,2\r\n"],
    ["a lone CR", "a,b\r1,2"],
    ["a byte order mark", "\uFEFFa,b\n1,2"],
    ["blank lines", "\n\na,b\n\n1,2\n\n"],
  ])("is read with %s", (_name, text) => {
    expect(texts(text)).toEqual([
      ["a", "b"],
      ["1", "2"],
    ]);
    expect(readCsv(text).faults).toEqual([]);
  });

  it("keeps quotes, commas and line breaks of quoted cells as they are", () => {
    expect(texts('"say ""hi"", twice","two\r\nlines",""\n')).toEqual([['say "hi", twice', "two\r\nlines", ""]]);
  });

  it("takes one empty quoted cell for a record, and an empty line for none", () => {
    expect(texts('""\n\n')).toEqual([[""]]);
  });

  it("says where each cell begins, also after line breaks inside quotes", () => {
    const [first, second] = readCsv('\uFEFFa,"x\ny",c\nd,e').records;
    expect(first?.cells.map(({ line, column }) => [line, column])).toEqual([[1, 1], [1, 3], [2, 4]]); // prettier-ignore
    expect(second?.line).toBe(3);
    expect(second?.cells.map(({ line, column }) => [line, column])).toEqual([[3, 1], [3, 3]]); // prettier-ignore
  });

  it.each([
    ["a quote inside a plain cell", 'ok\nab"c,d', { line: 2, column: 3 }],
    ["text after a closing quote", 'ok,"a"b', { line: 1, column: 7 }],
    ["a quote that is never closed", 'ok\nx,"a\nb', { line: 2, column: 3 }],
  ])("refuses %s, with its place", (_name, text, place) => {
    expect(readCsv(text).faults).toEqual([expect.objectContaining(place)]);
  });

  it("is read back as it was written, whatever its cells hold", () => {
    const cell = fc.string({ unit: fc.oneof(fc.constantFrom('"', ",", "\n", "\r", " ", "🐈", "a"), fc.string({ unit: "binary", minLength: 1, maxLength: 1 })) }); // prettier-ignore
    const records = fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { maxLength: 5 });
    fc.assert(
      fc.property(records, (written) => {
        // A mark at the very beginning is passed over: that is what it is for.
        const first = written[0]?.[0] ?? "";
        fc.pre(!first.startsWith("\uFEFF"));
        const reading = readCsv(writeCsv(written));
        expect(reading.faults).toEqual([]);
        expect(reading.records.map(({ cells }) => cells.map(({ text }) => text))).toEqual(written);
      }),
    );
  });
});
