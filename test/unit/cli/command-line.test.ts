import { describe, expect, it } from "vitest";
import { wholeOf } from "../../../services/cli/command-line.ts";

describe("a whole number of an option", () => {
  it.each([
    ["0", 0],
    ["2147483647", 2_147_483_647],
  ] as const)("is %s", (text, value) => {
    expect(wholeOf("--x", text)).toBe(value);
  });

  it.each(["-1", "2147483648", "99999999999", "1e3", "1.5", "NaN", ""])("is not '%s'", (text) => {
    expect(() => wholeOf("--x", text)).toThrow(/^--x: .* is no whole number from 0 to 2147483647$/);
  });
});
