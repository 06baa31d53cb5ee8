import { describe, expect, it } from "vitest";
import { rowListOf } from "../../../../services/cli/bench/row-list.ts";
import { readSuiteRows } from "../../../../services/cli/bench/suite-rows.ts";

const one = "video_paths,ref_video_path,tar_video_caption,ref_video_caption";
const list = "video_paths,ref_video_paths,tar_video_caption,kind";

function faults(text: string): readonly (readonly [number, number, string, string])[] {
  return readSuiteRows(text).faults.map(({ line, column, field, reason }) => [line, column, field, reason]);
}

describe("benchmark.csv", () => {
  it("gives rows with their lines, paths made plain", () => {
    const { rows, faults: found } = readSuiteRows(`${one},seed,kind\n./a//b.mp4,r.mp4,"two\nlines",ref,7, lego \nc.mp4,r.mp4,x,y,,\n`);
    expect(found).toEqual([]);
    expect(rows).toEqual([
      expect.objectContaining({ line: 2, caption: "two\nlines", referenceCaptions: ["ref"], seed: 7n, kind: "lego" }),
      expect.objectContaining({ line: 4, caption: "x", seed: undefined, kind: "" }),
    ]);
    expect(rows[0]?.target).toMatchObject({ path: "a/b.mp4", line: 2, column: 1 });
    expect(rows[0]?.references[0]).toMatchObject({ path: "r.mp4", column: 12 });
  });

  it("tells every fault, not the first, each at its line and column", () => {
    const text = `${one},seed\n/etc/a.mp4,../b.mp4,,caption,-1\n,a.mp4,t,"n\0ul",9223372036854775808\nx,y\n`;
    expect(faults(text)).toEqual([
      [2, 1, "video_paths", "/etc/a.mp4 is an absolute path"],
      [2, 12, "ref_video_path", "../b.mp4 leads out of the root"],
      [2, 21, "tar_video_caption", "is empty"],
      [2, 30, "seed", 'is "-1"'],
      [3, 1, "video_paths", "is empty"],
      [3, 10, "ref_video_caption", "holds a NUL character"],
      [3, 17, "seed", 'is "9223372036854775808"'],
      [4, 1, "", "the row has 2 cells"],
    ]);
  });

  it.each([
    ["C:\\clips\\a.mp4", "absolute"],
    ["a/../../b.mp4", "out of the root"],
    ["..\\b.mp4", "out of the root"],
    ["a/", "folder"],
    ["a\0b.mp4", "NUL"],
  ])("refuses the path %j", (path, why) => {
    expect(faults(`${one}\n${path},r.mp4,t,c\n`)[0]?.[3]).toContain(why);
  });

  it("takes the same file in two rows", () => {
    expect(readSuiteRows(`${one}\na.mp4,a.mp4,t,c\na.mp4,a.mp4,t,c\n`)).toMatchObject({ rows: [{}, {}], faults: [] });
  });

  it.each([
    ["", "the file has no header"],
    ["video_paths,tar_video_caption\na,b\n", "this column is missing"],
    [`${one},video_paths\n`, "this column stands twice"],
    [`${one},ref_video_paths\n`, "stands beside ref_video_path"],
    [`${one}\n`, "the file has no rows"],
  ])("is refused with the header of %j", (text, reason) => {
    expect(faults(text).map((fault) => fault[3])).toContain(reason);
  });

  it("names columns that nothing is read from", () => {
    expect(readSuiteRows(`${one},tar_caption,split\na,b,c,d,e,train\n`).unknownColumns).toEqual(["tar_caption"]);
  });
});

describe("vap_data.csv", () => {
  it("takes what a reference shows from its own row", () => {
    const { rows, faults: found } = readSuiteRows(
      `${list}\na.mp4,"[""b.mp4"", ""./c.mp4""]",A,k\nb.mp4,"[""a.mp4""]",B,k\nc.mp4,"[""a.mp4""]",C,k\n`,
    );
    expect(found).toEqual([]);
    expect(rows[0]?.referenceCaptions).toEqual(["B", "C"]);
  });

  it.each([
    ["['b.mp4']", "Python's form"],
    ["[1]", "entry 0 of the list is no text"],
    ["{}", "no list but object"],
    ["[", "no JSON"],
    ["[]", "names 0 references"],
    [JSON.stringify(["a", "b", "c", "d"]), "names 4 references"],
    [JSON.stringify(["unknown.mp4"]), "nothing says what unknown.mp4 shows"],
    [JSON.stringify(["/b.mp4"]), "absolute path"],
  ])("refuses the references %s", (cell, why) => {
    const text = `${list}\na.mp4,"${cell.replaceAll('"', '""')}",A,k\n`;
    expect(faults(text)).toEqual([[2, 7, "ref_video_paths", expect.stringContaining(why)]]);
  });

  it("leaves out rows that _valid calls wrong, and still knows what their clips show", () => {
    const reading = readSuiteRows(
      `${list},_valid\na.mp4,"[""b.mp4""]",A,k,True\nb.mp4,"[""zzz""]",B,k,False\nc.mp4,"[""b.mp4""]",C,k,maybe\n`,
    );
    expect(reading.leftOut).toBe(1);
    expect(reading.rows[0]?.referenceCaptions).toEqual(["B"]);
    expect(reading.faults).toEqual([expect.objectContaining({ line: 4, field: "_valid" })]);
  });
});

describe("--rows", () => {
  it("names positions and ranges, each once", () => {
    expect(rowListOf("--rows", "12, 0-3,2")).toEqual([0, 1, 2, 3, 12]);
    expect(rowListOf("--rows", undefined)).toEqual([]);
  });

  it.each(["", "a", "3-1", "-1", "1,,2", "0-200000"])("refuses %j", (text) => {
    expect(() => rowListOf("--rows", text)).toThrow("names no rows");
  });
});
