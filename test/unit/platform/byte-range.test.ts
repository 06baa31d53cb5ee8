import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contentRange, isRangeWanted, parseByteRange } from "../../../services/platform/http/byte-range.ts";

const part = (offset: number, length: number) => ({ kind: "part", offset, length });

describe("a Range header", () => {
  it.each([
    [undefined, 10, { kind: "whole" }],
    ["bytes=0-4", 10, part(0, 5)],
    ["bytes=4-", 10, part(4, 6)],
    ["bytes=-3", 10, part(7, 3)],
    ["bytes=-30", 10, part(0, 10)],
    ["bytes=9-9", 10, part(9, 1)],
    ["bytes=5-500", 10, part(5, 5)],
    ["BYTES=0-0", 10, part(0, 1)],
    ["bytes= 1-2 ", 10, part(1, 2)],
    ["bytes=10-", 10, { kind: "unsatisfiable" }],
    ["bytes=99999999999999999999999-", 10, { kind: "unsatisfiable" }],
    ["bytes=0-", 0, { kind: "unsatisfiable" }],
    ["bytes=-0", 10, { kind: "unsatisfiable" }],
    ["bytes=-5", 0, { kind: "unsatisfiable" }],
    ["bytes=5-4", 10, { kind: "whole" }],
    ["bytes=-", 10, { kind: "whole" }],
    ["bytes=0-1,3-4", 10, { kind: "whole" }],
    ["frames=0-1", 10, { kind: "whole" }],
    ["bytes=a-b", 10, { kind: "whole" }],
    ["", 10, { kind: "whole" }],
  ])("%s of %d bytes", (header, size, expected) => {
    expect(parseByteRange(header, size)).toEqual(expected);
  });

  it("never leads outside the bytes", () => {
    const edge = fc.oneof(fc.constant(""), fc.nat(2_000).map(String));
    fc.assert(
      fc.property(edge, edge, fc.nat(1_000), (first, last, size) => {
        const range = parseByteRange(`bytes=${first}-${last}`, size);
        if (range.kind !== "part") return;
        expect(range.length).toBeGreaterThan(0);
        expect(range.offset + range.length).toBeLessThanOrEqual(size);
      }),
    );
  });

  it("counts only for the bytes that If-Range names", () => {
    expect(isRangeWanted(undefined, '"a"')).toBe(true);
    expect(isRangeWanted('"a"', '"a"')).toBe(true);
    expect(isRangeWanted('"b"', '"a"')).toBe(false);
    expect(isRangeWanted('W/"a"', '"a"')).toBe(false);
    expect(isRangeWanted("Wed, 21 Oct 2015 07:28:00 GMT", '"a"')).toBe(false);
  });

  it("is answered with what was sent of how much", () => {
    expect(contentRange({ kind: "part", offset: 2, length: 3 }, 10)).toBe("bytes 2-4/10");
    expect(contentRange({ kind: "unsatisfiable" }, 10)).toBe("bytes */10");
  });
});
