import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fittingCount } from "../../../services/coordinator/rpc/message-size.ts";
import { pageTokenOf, readPageToken } from "../../../services/coordinator/rpc/page-token.ts";

const question = ["ListJobs", null, ["a"]];

describe("a page token", () => {
  it("gives its cursor back to the question that it came from, and to no other", () => {
    const property = fc.property(fc.array(fc.oneof(fc.string(), fc.integer())), fc.string(), (cursor, other) => {
      const token = pageTokenOf(cursor, question);
      expect(readPageToken(token, question)).toEqual(cursor);
      expect(readPageToken(token, [...question, other])).toBeUndefined();
    });
    fc.assert(property);
  });

  it("that was changed in any one character is none", () => {
    const token = pageTokenOf(["1767225600000000", "0b54ce1c-0000-4000-8000-000000000001"], question);
    for (let index = 0; index < token.length; index += 1) {
      const changed = token[index] === "A" ? "B" : "A";
      expect(readPageToken(`${token.slice(0, index)}${changed}${token.slice(index + 1)}`, question)).toBeUndefined();
    }
  });

  it("is never made of what anybody writes", () => {
    const property = fc.property(fc.string(), (text) => {
      expect(readPageToken(text, question)).toBeUndefined();
    });
    fc.assert(property);
  });
});

describe("a page that has to fit into a message", () => {
  it("ends before it is too large, and never before its first element", () => {
    const megabyte = 1024 * 1024;
    expect([fittingCount([]), fittingCount([1, 2, 3]), fittingCount([9 * megabyte, 1])]).toEqual([0, 3, 1]);
    expect(fittingCount([megabyte, megabyte, megabyte, 1])).toBe(3);
  });
});
